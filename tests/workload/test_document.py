from typing import Any

import pytest

from profiler.errors import WorkloadError
from profiler.workload.document import read_document


@pytest.fixture
def read(tmp_path: Any) -> Any:
    def write_and_read(content: Any) -> Any:
        path = tmp_path / "d.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_document(path)

    return write_and_read


def test_every_key_and_item_knows_its_line(read: Any) -> None:
    document = read("# a comment\na: 1\nb:\n  - c: 2\n    d:\n      - 3\n      - 4\n")
    assert document.data == {"a": 1, "b": [{"c": 2, "d": [3, 4]}]}
    assert document.locate(("a",)) == (("a",), 2)
    assert document.locate(("b", 0, "d", 1)) == (("b", 0, "d", 1), 7)


def test_what_is_not_in_the_file_is_blamed_on_the_nearest_key_above(read: Any) -> None:
    document = read("a:\n  b: 1\n")
    assert document.locate(("a", "missing")) == (("a",), 1)
    assert document.locate(("a", 0, "b")) == (("a", "b"), 2)


def test_scalars_are_what_they_look_like(read: Any) -> None:
    text = "[yes, no, on, 007, 1:30, 2024-05-15, true, False, null, ~, 12, -3, 1.5, 1e3, .inf, '1']"
    assert read(text).data == [
        *("yes", "no", "on", "007", "1:30", "2024-05-15", True, False, None, None),
        *(12, -3, 1.5, 1000.0, float("inf"), "1"),
    ]


def test_aliases_and_empty_values_are_read(read: Any) -> None:
    assert read("a: &x [1]\nb: *x\nc:\n").data == {"a": [1], "b": [1], "c": None}


def test_a_byte_order_mark_is_no_part_of_the_first_key(read: Any) -> None:
    assert read(b"\xef\xbb\xbfa: 1\n").data == {"a": 1}


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "'a' was given already in line 1"),
        ("a:\n  b: [\n", 3, "not valid YAML"),
        ("a: 1\n---\nb: 1\n", 2, "not valid YAML"),
        ("a: 1\nb: !!python/object:os.system x\n", 2, "is not plain data"),
        ("a: !!int x\n", 1, "does not fit its tag"),
        ("a: !!bool x\n", 1, "does not fit its tag"),
        ("\n? [a]\n: b\n", 2, "a key is not plain text"),
        ("<<: {a: b}\n", 1, "merge keys"),
        ("a: &x [*x]\n", 1, "endless"),
        ("a: *nobody\n", 1, "not valid YAML"),
    ],
)
def test_what_is_not_plain_data_is_an_error_with_its_line(
    read: Any, content: Any, line: Any, says: Any
) -> None:
    with pytest.raises(WorkloadError) as caught:
        read(content)
    assert str(caught.value.where).endswith(f"d.yaml:{line}")
    assert says in caught.value.what
    assert caught.value.fix


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "empty"),
        ("# only a comment\n", "empty"),
        (b"\xff\xfe\x00", "not UTF-8"),
        ("a: \x00\n", "special characters"),
        ("[" * 1000, "nested too deeply"),
    ],
)
def test_what_is_no_document_is_an_error_with_its_file(read: Any, content: Any, says: Any) -> None:
    with pytest.raises(WorkloadError) as caught:
        read(content)
    assert str(caught.value.where).endswith("d.yaml")
    assert says in caught.value.what


def test_a_file_that_explodes_through_aliases_is_refused(read: Any) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(WorkloadError, match=r"aliases written out, .* over 200,000 values"):
        read("\n".join(lines))


def test_a_missing_file_is_named(tmp_path: Any) -> None:
    with pytest.raises(WorkloadError, match=r"nope\.yaml: cannot read the workload: No such file"):
        read_document(tmp_path / "nope.yaml")
