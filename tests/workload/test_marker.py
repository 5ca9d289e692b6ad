from profiler.workload.marker import marked_in, marker_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"  # the example of W3C Trace Context


def test_a_marker_is_found_again_in_what_surrounds_it():
    assert marker_of(TRACE) == "[ap:4bf92f3577b34da6]"
    assert marked_in(f"Where is it?\n{marker_of(TRACE)} Answer briefly.") == "4bf92f3577b34da6"


def test_the_last_of_several_is_the_interactions():
    assert marked_in(f"{marker_of('0' * 32)} {marker_of(TRACE)}") == TRACE[:16]


def test_what_is_no_marker_is_none():
    for text in ("", "[ap:]", "[ap:4bf9]", "[ap:4BF92F3577B34DA6]", "ap:4bf92f3577b34da6"):
        assert marked_in(text) is None
