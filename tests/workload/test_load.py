import pickle
from decimal import Decimal
from typing import Any

import pytest

from profiler.errors import WorkloadError
from profiler.workload.load import load_workload

ONE_SCENARIO = "scenarios: [{name: a, turns: [{user: hi}]}]\n"

BLOCK = "name: x\nscenarios:\n  - name: a\n    {}\n    turns:\n      - user: hi\n"


def test_a_workload_needs_nothing_but_scenarios(load: Any) -> None:
    workload = load(ONE_SCENARIO)
    assert workload.name == "w"
    assert workload.target.url is None
    assert workload.target.protocol == "openai-chat"
    assert workload.target.model is None
    assert workload.target.stream is True
    assert workload.target.timeout_s == 120.0
    assert workload.target.headers == {}
    assert (workload.load.users, workload.load.rate_per_s) == (1, None)
    assert not workload.load.is_open
    assert (workload.load.requests, workload.load.sessions) == (100, None)
    assert (workload.load.warmup, workload.load.seed) == (0, 1)
    assert workload.load.error_limit == 0.5
    assert workload.scenarios[0].weight == 1.0
    assert workload.scenarios[0].turns[0].checks == ()


def test_everything_that_can_be_written_is_read(load: Any) -> None:
    workload = load("""
name: all
target:
  url: https://agent.example/chat
  protocol: http-json
  model: m
  stream: false
  timeout: 1500ms
  headers: {x-team: blue}
  http_json:
    body: {message: "{{ user }}", deep: [{id: "{{ session_id }}", n: 1}]}
    reply: reply
    session_id: sid
    usage: {input_tokens: usage.in, output_tokens: usage.out}
    error: error.message
    trace: trace
load:
  rate: 300/min
  arrivals: constant
  arrivals_of: interactions
  sessions: 7
  duration: 2m
  warmup: 3
  seed: 9
  max_requests: 50
  error_limit: null
scenarios:
  - name: a
    turns:
      - user: hi
        check: [{status: 200}, {max_latency: 2s}]
""")
    assert workload.target.url == "https://agent.example/chat"
    assert workload.target.timeout_s == 1.5
    assert workload.target.headers == {"x-team": "blue"}
    assert workload.target.http_json.usage.paths() == {
        "input_tokens": "usage.in",
        "output_tokens": "usage.out",
    }
    assert workload.load.is_open
    assert workload.load.rate_per_s == 5.0
    assert workload.load.users is None
    assert (workload.load.requests, workload.load.sessions) == (None, 7)
    assert workload.load.duration_s == 120.0
    assert workload.load.error_limit is None
    assert [check.status for check in workload.scenarios[0].turns[0].checks] == [200, None]
    assert workload.scenarios[0].turns[0].checks[1].max_latency_s == 2.0


def test_a_duration_alone_leaves_the_number_of_requests_open(load: Any) -> None:
    workload = load(ONE_SCENARIO + "load: {duration: 10s}")
    assert (workload.load.requests, workload.load.sessions) == (None, None)


def test_a_section_of_comments_only_is_a_section_left_out(load: Any) -> None:
    workload = load(ONE_SCENARIO + "target:\n  # url: http://h/\nload:\n")
    assert workload.target.url is None
    assert workload.load.requests == 100


def test_never_is_no_error_limit(load: Any) -> None:
    assert load(ONE_SCENARIO + "load: {error_limit: never}").load.error_limit is None


def test_an_unknown_key_names_file_line_and_the_nearest_key(load: Any, tmp_path: Any) -> None:
    with pytest.raises(WorkloadError) as caught:
        load(BLOCK.format("wieght: 3"))
    assert str(caught.value) == (
        f"{tmp_path}/w.yaml:4: unknown key 'wieght' under scenarios[0]. Did you mean 'weight'?"
    )


def test_an_unknown_key_comes_before_what_follows_from_it(load: Any) -> None:
    with pytest.raises(WorkloadError, match=r"w\.yaml:3: unknown key 'scenrios'"):
        load("name: x\nload: {users: 0}\nscenrios: []\n")


def test_of_many_mistakes_the_first_in_the_file_is_told(load: Any) -> None:
    with pytest.raises(WorkloadError, match=r"w\.yaml:2: load\.seed"):
        load(ONE_SCENARIO + "load: {seed: -1}\ntarget: {timeout: 0}\n")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("weight: 50%", r"scenarios\[0\]\.weight: '50%' is not a weight"),
        ("weight: -1", "-1 is not a weight"),
        ("weight: true", "True is not a weight"),
        ("weight: .inf", "inf is not a weight"),
        ("think_time: soon", r"scenarios\[0\]\.think_time: 'soon' is not a duration"),
        ("think_time: {lognormal: {medain: 2s, p95: 3s}}", "unknown key 'medain'"),
        ("think_time: {lognormal: {median: 4s, p95: 3s}}", "p95 is below the median"),
        ("think_time: {uniform: {low: 4s, high: 3s}}", "high is below low"),
        ("think_time: {exponential: {mean: 0}}", "the duration is zero"),
        ("think_time: {}", "0 distributions are given"),
        ("think_time: {fixed: 1s, uniform: {low: 1s, high: 2s}}", "2 distributions are given"),
        ("think_time: {uniform: 3}", "should be a mapping of keys, not 3"),
        ("variables: {o: {int: [3, 1]}}", "ends before it begins"),
        ("variables: {o: {float: [3, 1]}}", "ends before it begins"),
        ("variables: {o: {int: [3]}}", "a range is two numbers"),
        ("variables: {o: {int: [true, false]}}", "a range is two numbers"),
        ("variables: {o: {int: [a, 1]}}", "should be a whole number, not 'a'. Write digits"),
        ("variables: {o: {float: [0, .inf]}}", "finite"),
        ("variables: {o: [1, 2]}", "should be a mapping of keys, not a list"),
        ("variables: {o: {values: []}}", "the list is empty"),
        ("variables: {o: {values: [true]}}", "neither text nor a number. Put it in quotes"),
        ("variables: {o: {values: [a], int: [1, 2]}}", "2 sources are given"),
        ("variables: {o: {}}", "0 sources are given"),
        ("variables: {o: {values: [a], column: b}}", "column has no use without csv"),
        ("variables: {turn: {values: [a]}}", "a variable cannot be called 'turn'"),
        ("variables: {a-b: {values: [a]}}", "a variable cannot be called 'a-b'"),
        ("variables: {o: {csv: nope.csv, column: a}}", "there is no file 'nope.csv'"),
        ("variables: {o: {csv: 3, column: a}}", "the path is empty or not text"),
        ("conversations: nope.jsonl", "there is no file 'nope.jsonl'"),
    ],
)
def test_a_mistake_in_a_scenario_is_one_line_with_its_place(
    load: Any, line: Any, says: Any
) -> None:
    with pytest.raises(WorkloadError, match=says) as caught:
        load(BLOCK.format(line))
    assert str(caught.value.where).endswith("w.yaml:4")
    assert caught.value.exit_code == 2
    assert caught.value.fix
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ("load: 3", "load: the value should be a mapping of keys, not 3"),
        ("load: {users: 3, rate: 5/s}", "users and rate exclude each other"),
        ("load: {users: 0}", "load.users"),
        ("load: {users: true}", "should be a whole number, not True"),
        ("load: {users: '3'}", "should be a whole number, not '3'"),
        ("load: {rate: fast}", "'fast' is not a rate"),
        ("load: {rate: 0}", "the rate is zero"),
        ("load: {duration: 0}", "the duration is zero"),
        ("load: {arrivals: constant}", "arrivals has no use without a rate"),
        ("load: {rate: 1, arrivals: poison}", "there is no 'poison'. Did you mean 'poisson'?"),
        ("load: {error_limit: 50}", "50 is not a share"),
        ("load: {error_limit: true}", "True is not a share"),
        ("load: {requests: 3, sessions: 3}", "requests and sessions exclude each other"),
        ("load: {requests: 300, max_requests: 3}", "max_requests is 3, less than requests"),
        ("target: []", "target: the value should be a mapping of keys, not a list"),
        ("target: {protocol: openai-caht}", "Did you mean 'openai-chat'?"),
        ("target: {protocol: http-json}", "needs 'http_json'"),
        ("target: {http_json: {body: {m: '{{ user }}'}, reply: x}}", "no use with openai-chat"),
        ("target: {anthropic_messages: {max_tokens: 5}}", "no use with openai-chat"),
        (
            "target: {protocol: openai-responses, anthropic_messages: {}}",
            "Write protocol: anthropic-messages, or remove it",
        ),
        ("target: {openai_responses: {}}", "openai_responses has no use with openai-chat"),
        ("target: {protocol: openai-responses, openai_responses: {state: no}}", "resend, server"),
        (
            "target: {protocol: anthropic-messages, anthropic_messages: {max_tokens: 0}}",
            "max_tokens",
        ),
        ("target: {stream: 'yes'}", "should be true or false"),
        ("target: {model: 4}", "should be text, not 4. Put it in quotes"),
        ("target: {model: ''}", "the text is empty"),
        ("load: {rate: 1, ramp_up: 5s}", "ramp_up has no use without users"),
        ("load: {max_cost: 5EUR}", "'5EUR' is no amount of US dollars"),
        ("load: {max_cost: 0}", "a limit of zero lets nothing be sent"),
        ("load: {max_tokens: many}", "'many' is no number of tokens"),
        ("load: {backoff: 3}", "should be true or false"),
        ("load: {seed: {}}", "should be a whole number, not a mapping"),
        ("load: {seed: null}", "should be a whole number, not nothing"),
    ],
)
def test_a_mistake_in_target_or_load_is_one_line_with_its_place(
    load: Any, section: Any, says: Any
) -> None:
    with pytest.raises(WorkloadError) as caught:
        load(ONE_SCENARIO + section)
    assert says in str(caught.value)
    assert str(caught.value.where).endswith("w.yaml:2")


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("body: {m: '{{ usr }}'}, reply: x", "unknown variable 'usr'. Did you mean 'user'?"),
        ("body: {m: '{{ a b }}'}, reply: x", "is not followed by one name"),
        ("body: {m: hello}, reply: x", "the body never uses {{ user }}"),
        ("body: {m: '{{ user }}'}, reply: 'x['", "'x[' is not a JMESPath expression"),
        ("body: {m: '{{ user }}'}, reply: 'x[*].lenght(@)'", "no function 'lenght'"),
        ("body: {m: '{{ user }}'}", "the key 'reply' is missing under target.http_json"),
        ("body: hello, reply: x", "should be a mapping of keys, not 'hello'"),
    ],
)
def test_a_mistake_in_an_http_json_protocol_is_found_before_anything_is_sent(
    load: Any, keys: Any, says: Any
) -> None:
    with pytest.raises(WorkloadError) as caught:
        load(ONE_SCENARIO + f"target: {{protocol: http-json, http_json: {{{keys}}}}}")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1]", "a workload is a mapping of keys"),
        ("name: x", "the key 'scenarios' is missing"),
        ("scenarios: []", "there is no scenario"),
        ("scenarios: 3", "should be a list, not 3"),
        ("scenarios: [{name: a}]", "scenarios[0]: the scenario 'a' has no turns"),
        ("scenarios: [{name: a, turns: []}]", "scenarios[0].turns: the scenario 'a' has no turns"),
        ("scenarios: [{turns: [{user: a}]}]", "the key 'name' is missing under scenarios[0]"),
        ("scenarios: [{name: a, weight: 0, turns: [{user: a}]}]", "the weights are all zero"),
        (
            "scenarios: [{name: a, turns: [{user: a}]}, {name: a, turns: [{user: a}]}]",
            "scenarios[1].name: two scenarios are called 'a'",
        ),
        ("scenarios: [{name: a, turns: [hi]}]", "should be a mapping of keys, not 'hi'"),
        ("scenarios: [{name: a, turns: [{user: ''}]}]", "the text is empty"),
        ("scenarios: [{name: a, turns: [{user: '{{ a b }}'}]}]", "is not followed by one name"),
        (
            "scenarios: [{name: a, turns: [{user: '{{ordr}}'}], variables: {order: {int: [1,2]}}}]",
            "uses the unknown variable 'ordr'. Did you mean 'order'?",
        ),
        (
            "scenarios: [{name: a, turns: [{user: a, check: {contains: '{{ b }}'}}]}]",
            "uses the unknown variable 'b'",
        ),
        ("scenarios: [{name: a, turns: [{user: a, check: {}}]}]", "the check checks nothing"),
        ("scenarios: [{name: a, turns: [{user: a, check: 3}]}]", "mapping of keys, not 3"),
        ("scenarios: [{name: a, turns: [{user: a, check: {regex: '('}}]}]", "unterminated"),
        ("scenarios: [{name: a, turns: [{user: a, check: {regex: 3}}]}]", "empty or not text"),
        ("scenarios: [{name: a, turns: [{user: a, check: {json_path: 'a b'}}]}]", "JMESPath"),
        (
            "scenarios: [{name: a, turns: [{user: a, check: {json_path: {path: 3}}}]}]",
            "the path is not text",
        ),
        ("scenarios: [{name: a, turns: [{user: a, check: {status: 2000}}]}]", "not 2000"),
    ],
)
def test_a_workload_that_cannot_be_replayed_is_refused(load: Any, text: Any, says: Any) -> None:
    with pytest.raises(WorkloadError) as caught:
        load(text)
    assert says in str(caught.value)
    assert str(caught.value.where).endswith("w.yaml:1")


def test_recordings_exclude_turns_and_variables(load: Any, airline: Any, tmp_path: Any) -> None:
    (tmp_path / "a.jsonl").write_bytes(airline.read_bytes())
    with pytest.raises(WorkloadError, match="turns and conversations exclude each other"):
        load("scenarios: [{name: a, conversations: a.jsonl, turns: [{user: a}]}]")
    with pytest.raises(WorkloadError, match="variables have no use with conversations"):
        load("scenarios: [{name: a, conversations: a.jsonl, variables: {x: {values: [a]}}}]")


def test_broken_data_is_blamed_on_its_own_file_and_line(load: Any, tmp_path: Any) -> None:
    (tmp_path / "c.jsonl").write_text('{"id": "a", "messages": [{"role": "usr"}]}\n')
    with pytest.raises(WorkloadError, match=r"c\.jsonl:1: .* unknown role 'usr'"):
        load("scenarios: [{name: a, conversations: c.jsonl}]")


def test_a_csv_without_the_column_names_the_nearest(load: Any, tmp_path: Any) -> None:
    (tmp_path / "o.csv").write_text("id,name\n1,a\n")
    text = "scenarios: [{name: a, turns: [{user: a}], variables: {x: {csv: o.csv, %s}}}]"
    with pytest.raises(WorkloadError, match=r"no column 'nmae'\. Did you mean 'name'\?"):
        load(text % "column: nmae")
    with pytest.raises(WorkloadError, match="Add column with one of: id, name"):
        load("scenarios: [{name: a, turns: [{user: a}], variables: {x: {csv: o.csv}}}]")


def test_options_override_the_file(load: Any) -> None:
    text = ONE_SCENARIO + "load: {rate: 5/s, arrivals: constant, sessions: 10}\n"
    options = {"url": "http://h/c", "users": 4, "requests": 7, "seed": 3, "warmup": None}
    workload = load(text, overrides=options)
    assert workload.target.url == "http://h/c"
    assert (workload.load.users, workload.load.rate_per_s) == (4, None)
    assert (workload.load.requests, workload.load.sessions) == (7, None)
    assert workload.load.seed == 3
    assert workload.load.warmup == 0


def test_limits_of_spend_are_read_as_people_write_them(load: Any) -> None:
    text = ONE_SCENARIO + "load: {users: 4, ramp_up: 10s, max_cost: $5, max_tokens: 2M}\n"
    limits = load(text).load
    assert (limits.max_cost_usd, limits.max_tokens, limits.ramp_up_s) == (5, 2_000_000, 10)
    given = load(text, overrides={"max_cost": "0.50 USD", "backoff": False}).load
    assert (given.max_cost_usd, given.backoff) == (Decimal("0.50"), False)


def test_a_rate_overrides_users_and_sessions_override_requests(load: Any) -> None:
    text = ONE_SCENARIO + "load: {users: 4, requests: 10}\n"
    workload = load(text, overrides={"rate": "2/s", "sessions": 5, "duration": "1m"})
    assert (workload.load.users, workload.load.rate_per_s) == (None, 2.0)
    assert (workload.load.requests, workload.load.sessions) == (None, 5)
    assert workload.load.duration_s == 60.0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"url": "nope"}, "--url: the URL has no scheme"),
        ({"users": 0}, "--users: "),
        ({"rate": "5/x"}, "--rate: '5/x' is not a rate"),
        ({"max_requests": 5}, "--max-requests: max_requests is 5, less than requests"),
        ({"users": 3, "rate": 4}, "--users and --rate exclude each other"),
        ({"requests": 3, "sessions": 4}, "--requests and --sessions exclude each other"),
        ({"rate": 4, "ramp_up": "3s"}, "--rate and --ramp-up exclude each other"),
        ({"max_cost": "dear"}, "--max-cost: 'dear' is no amount of US dollars"),
        ({"uers": 3}, "'uers' cannot be overridden. Did you mean 'users'?"),
    ],
)
def test_a_mistake_in_an_option_names_the_option(load: Any, options: Any, says: Any) -> None:
    with pytest.raises(WorkloadError) as caught:
        load(ONE_SCENARIO, overrides=options)
    assert str(caught.value).startswith(says)


def test_an_option_does_not_hide_a_broken_section(load: Any) -> None:
    with pytest.raises(WorkloadError, match="load: the value should be a mapping"):
        load(ONE_SCENARIO + "load: [1]", overrides={"users": 3})


def test_a_loaded_workload_can_be_sent_to_a_worker(load: Any, airline: Any, tmp_path: Any) -> None:
    (tmp_path / "a.jsonl").write_bytes(airline.read_bytes())
    (tmp_path / "o.csv").write_text("id\n1\n")
    workload = load("""
scenarios:
  - {name: recorded, conversations: a.jsonl}
  - name: written
    variables: {x: {csv: o.csv, column: id}}
    turns: [{user: "{{ x }}", check: {regex: a+, json_path: a.b}}]
""")
    assert pickle.loads(pickle.dumps(workload)) == workload


def test_a_missing_file_is_one_line(tmp_path: Any) -> None:
    with pytest.raises(WorkloadError, match="cannot read the workload"):
        load_workload(tmp_path / "nope.yaml")
