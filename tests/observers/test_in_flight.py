from profiler.observers.in_flight import InFlight

A, B = "a" * 32, "b" * 32


def test_a_text_finds_all_that_are_under_way_with_it():
    flying = InFlight()
    flying.begin(A, "hello")
    flying.begin(B, "hello")
    assert flying.with_text("hello") == {A, B}
    assert flying.with_text("hell") == frozenset()
    flying.end(A)
    assert flying.with_text("hello") == {B}
    assert list(flying) == [B]
    flying.end(B)
    flying.end(B)
    assert len(flying) == 0
    assert flying.with_text("hello") == frozenset()


def test_an_id_is_known_after_its_end_and_a_strangers_never_is():
    flying = InFlight()
    flying.begin(A, "hello")
    flying.end(A)
    assert flying.seen(A)
    assert flying.seen(A.upper())
    assert not flying.seen(B)
    assert not flying.seen("no hex")


def test_a_session_is_known_by_what_it_has_under_way():
    flying = InFlight()
    flying.begin(A, "hello", session="s-1")
    flying.begin(B, "hello")
    assert flying.of_session("s-1") == {A}
    assert A in flying
    flying.end(A)
    assert flying.of_session("s-1") == frozenset()
    assert A not in flying


def test_a_text_within_another_is_found_from_a_length_on():
    flying = InFlight()
    flying.begin(A, "where is my order?")
    flying.begin(B, "hello")
    wrapped = "User says: hello, where is my order? Answer briefly."
    assert flying.within(wrapped, least_chars=12) == {A}
    assert flying.within(wrapped, least_chars=5) == {A, B}
    assert flying.within("nothing of it", least_chars=5) == frozenset()
