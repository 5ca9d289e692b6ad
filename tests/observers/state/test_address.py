"""`--state` URLs: what is understood, and that no message shows what it must not."""

from __future__ import annotations

import pytest

from profiler.errors import UsageError
from profiler.observers.state.address import address_of

SECRET = "c4nary-p4ss"


@pytest.mark.parametrize(
    ("url", "kind", "shown"),
    [
        ("redis://cache", "redis", "redis://cache:6379/0"),
        ("rediss://u:p@cache:7000/3", "redis", "rediss://cache:7000/3"),
        ("redis://[::1]:7000", "redis", "redis://[::1]:7000/0"),
        ("redis://[::1]", "redis", "redis://[::1]:6379/0"),
        ("postgres://u:p@db/app", "postgresql", "postgres://db:5432/app"),
        ("postgresql://u@a:1,b:2/app", "postgresql", "postgresql://a:1,b:2/app"),
        ("postgresql:///app?host=/run/pg&port=5433", "postgresql", "postgresql:///run/pg:5433/app"),
        ("postgresql://?dbname=app", "postgresql", "postgresql://localhost:5432/app"),
    ],
)
def test_what_is_shown_is_where_the_store_is(url, kind, shown):
    address = address_of(url, {})
    assert (address.kind, address.shown) == (kind, shown)
    assert address.shown.endswith(address.location)
    assert address.location.startswith(address.server)


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}@cache",
        f"redis://{SECRET}@cache",
        f"redis://user:%63{SECRET[1:]}@cache",
        f"postgresql://user:{SECRET}@db/app",
        f"postgresql://db/app?password={SECRET}",
        f"postgresql://db/app?sslpassword={SECRET}",
    ],
)
def test_secrets_are_masked_and_never_shown(url):
    address = address_of(url, {})
    assert SECRET not in f"{address!r} {address.shown} {address.location}"
    assert address.without_secrets(f"no\n  {SECRET} here") == "no *** here"


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}/x@cache",
        f"redis://:{SECRET}?x@cache",
        f"redis://:{SECRET}#x@cache",
        f"redis://:{SECRET}:x",
        f"redis://user:{SECRET}",
        f"redis://[{SECRET}",
        f"{SECRET}://cache",
        f"user:{SECRET}@cache",
        f":{SECRET}@cache://x",
        f"redis://:{SECRET} x@cache",
        f"mysql://user:{SECRET}@db",
        f"redis://:{SECRET}${{NO_SUCH}}@cache",
    ],
)
def test_what_cannot_be_used_is_said_without_quoting_it(url):
    with pytest.raises(UsageError) as failure:
        address_of(url, {})
    assert str(failure.value).startswith("--state: ")
    assert SECRET not in str(failure.value)
    assert failure.value.__cause__ is None


def test_an_unknown_scheme_says_which_are_known():
    with pytest.raises(UsageError) as failure:
        address_of("mysql://db", {})
    assert str(failure.value) == (
        "--state: the scheme 'mysql' is not known. "
        "Known: redis://, rediss:// (with TLS), postgresql://"
    )


def test_a_password_may_come_from_the_environment():
    address = address_of("redis://:${PASSWORD}@cache", {"PASSWORD": SECRET})
    assert address.url == f"redis://:{SECRET}@cache"
    assert address.secrets == (SECRET,)
