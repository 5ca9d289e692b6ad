"""What each Redis command does: `read`, `write` or `other`, by the flags that Redis documents.

Source: `COMMAND` of Redis 7.0.15, whose flags `readonly` and `write` say it; for what came later,
`command_flags` in `src/commands/*.json` of Redis up to 8.4 and the documentation of the modules
that are part of Redis 8 (JSON, search, time series, probabilistic, vector sets).

A script, a function or EXEC is *other*: Redis counts the commands inside one by one, and a read
of `EVAL_RO` would count twice. The flags are the command's, not the call's: SORT and GEORADIUS may
store their result, so they are writes; GETEX may change the expiry, so it is one too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.measure.records import StateKind

if TYPE_CHECKING:
    from collections.abc import Collection

_RUN_COMMANDS = frozenset({"eval", "evalsha", "eval_ro", "evalsha_ro", "fcall", "fcall_ro", "exec"})

_READ = """
bitcount bitfield_ro bitpos dbsize dump exists expiretime geodist geohash geopos georadius_ro
georadiusbymember_ro geosearch get getbit getrange hexists hget hgetall hkeys hlen hmget hrandfield
hscan hstrlen hvals keys lcs lindex llen lolwut lpos lrange memory|usage mget object|encoding
object|freq object|idletime object|refcount pexpiretime pfcount pttl randomkey scan scard sdiff
sinter sintercard sismember smembers smismember sort_ro srandmember sscan strlen substr sunion touch
ttl type xinfo|consumers xinfo|groups xinfo|stream xlen xpending xrange xread xrevrange zcard zcount
zdiff zinter zintercard zlexcount zmscore zrandmember zrange zrangebylex zrangebyscore zrank
zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan zscore zunion
"""

_WRITE = """
append bitfield bitop blmove blmpop blpop brpop brpoplpush bzmpop bzpopmax bzpopmin copy decr decrby
del expire expireat flushall flushdb function|delete function|flush function|load function|restore
geoadd georadius georadiusbymember geosearchstore getdel getex getset hdel hincrby hincrbyfloat
hmset hset hsetnx incr incrby incrbyfloat linsert lmove lmpop lpop lpush lpushx lrem lset ltrim
migrate move mset msetnx persist pexpire pexpireat pfadd pfdebug pfmerge psetex rename renamenx
restore restore-asking rpop rpoplpush rpush rpushx sadd sdiffstore set setbit setex setnx setrange
sinterstore smove sort spop srem sunionstore swapdb unlink xack xadd xautoclaim xclaim xdel
xgroup|create xgroup|createconsumer xgroup|delconsumer xgroup|destroy xgroup|setid xreadgroup xsetid
xtrim zadd zdiffstore zincrby zinterstore zmpop zpopmax zpopmin zrangestore zrem zremrangebylex
zremrangebyrank zremrangebyscore zunionstore
"""

_OTHER = """
acl asking auth bgrewriteaof bgsave client cluster command config debug discard echo failover
function hello info lastsave latency memory module monitor multi object pfselftest ping psubscribe
psync publish pubsub punsubscribe quit readonly readwrite replconf replicaof reset role save script
select shutdown slaveof slowlog spublish ssubscribe subscribe sunsubscribe sync time unsubscribe
unwatch wait waitaof watch xgroup xinfo
"""

_READ_SINCE_7_2 = """
digest hexpiretime hpexpiretime hpttl httl vcard vdim vemb vgetattr vinfo vismember vlinks
vrandmember vrange vsim
"""

_WRITE_SINCE_7_2 = """
delex hexpire hexpireat hgetdel hgetex hpersist hpexpire hpexpireat hsetex msetex vadd vrem vsetattr
xackdel xdelex
"""

_READ_MODULES = """
json.arrindex json.arrlen json.debug json.get json.mget json.objkeys json.objlen json.resp
json.strlen json.type
ft._list ft.aggregate ft.cursor ft.dictdump ft.explain ft.explaincli ft.get ft.hybrid ft.info
ft.mget ft.profile ft.search ft.spellcheck ft.sugget ft.suglen ft.syndump ft.tagvals
ts.get ts.info ts.mget ts.mrange ts.mrevrange ts.queryindex ts.range ts.revrange
bf.card bf.exists bf.info bf.mexists bf.scandump
cf.count cf.exists cf.info cf.mexists cf.scandump
cms.info cms.query topk.count topk.info topk.list topk.query
tdigest.byrank tdigest.byrevrank tdigest.cdf tdigest.info tdigest.max tdigest.min tdigest.quantile
tdigest.rank tdigest.revrank tdigest.trimmed_mean
"""

_WRITE_MODULES = """
json.arrappend json.arrinsert json.arrpop json.arrtrim json.clear json.del json.forget json.merge
json.mset json.numincrby json.nummultby json.numpowby json.set json.strappend json.toggle
ft.add ft.aliasadd ft.aliasdel ft.aliasupdate ft.alter ft.create ft.del ft.dictadd ft.dictdel
ft.drop ft.dropindex ft.sugadd ft.sugdel ft.synupdate
ts.add ts.alter ts.create ts.createrule ts.decrby ts.del ts.deleterule ts.incrby ts.madd
bf.add bf.insert bf.loadchunk bf.madd bf.reserve
cf.add cf.addnx cf.del cf.insert cf.insertnx cf.loadchunk cf.reserve
cms.incrby cms.initbydim cms.initbyprob cms.merge topk.add topk.incrby topk.reserve
tdigest.add tdigest.create tdigest.merge tdigest.reset
"""

# Before Redis 7 there are no statistics of subcommands: these are the flags of the whole (6.2).
_UNDIVIDED = {
    "memory": StateKind.READ,
    "object": StateKind.READ,
    "xgroup": StateKind.WRITE,
    "xinfo": StateKind.READ,
}

_KINDS = {
    **dict.fromkeys((_READ + _READ_SINCE_7_2 + _READ_MODULES).split(), StateKind.READ),
    **dict.fromkeys((_WRITE + _WRITE_SINCE_7_2 + _WRITE_MODULES).split(), StateKind.WRITE),
    **dict.fromkeys(_OTHER.split(), StateKind.OTHER),
    **dict.fromkeys(_RUN_COMMANDS, StateKind.OTHER),
}
_CONTAINERS = frozenset(name.partition("|")[0] for name in _KINDS if "|" in name) | frozenset(
    ("acl", "client", "cluster", "command", "config", "latency", "module", "pubsub", "script")
)


def classify_redis(command: str) -> StateKind:
    """Return what a command does: `GET`, `xinfo|stream`, `XINFO STREAM key` or `SET ? ?`.

    A command that is not in the table is `other`.
    """
    words = command.lower().split(maxsplit=2)
    name = words[0] if words else ""
    if name in _CONTAINERS and len(words) > 1:
        name = f"{name}|{words[1]}"
    kind = documented_kind(name)
    return StateKind.OTHER if kind is None else kind


def documented_kind(name: str) -> StateKind | None:
    """Return what a command of `INFO commandstats` does, by the table; None: not in it."""
    if name in _UNDIVIDED:
        return _UNDIVIDED[name]
    container, divided, _ = name.partition("|")
    kind = _KINDS.get(name)
    # A subcommand that neither reads nor writes keys is not in the table, its container is.
    return _KINDS.get(container) if kind is None and divided else kind


def kind_by_flags(name: str, flags: Collection[str]) -> StateKind:
    """Return what a command does by the flags that `COMMAND INFO` gives for it."""
    if name in _RUN_COMMANDS:
        return StateKind.OTHER
    if "write" in flags:
        return StateKind.WRITE
    return StateKind.READ if "readonly" in flags else StateKind.OTHER
