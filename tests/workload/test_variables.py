from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.errors import WorkloadError
from profiler.workload.scenario_values import VariableSpec
from profiler.workload.templates import placeholder_names, render
from profiler.workload.variables import (
    CsvVariable,
    FloatVariable,
    IntVariable,
    ListVariable,
    read_table,
)


@pytest.fixture
def table(tmp_path: Any) -> Any:
    def write_and_read(content: Any) -> Any:
        path = tmp_path / "t.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_table(path)

    return write_and_read


def test_a_table_is_read_with_its_header(table: Any) -> None:
    read = table('\ufeffid, name \r\n1,"a, b"\r\n\r\n2,"c\nd"\r\n')
    assert read.columns == ("id", "name")
    assert read.rows == (("1", "a, b"), ("2", "c\nd"))
    assert CsvVariable(table=read, column=1).value(0) == "a, b"


@pytest.mark.parametrize(
    ("content", "where", "says"),
    [
        ("", "t.csv", "has no rows"),
        ("id\n", "t.csv", "has no rows"),
        ("id,name\n1\n", "t.csv:2", "the row has 1 cells, the header 2"),
        ("id\n1\n2,3\n", "t.csv:3", "the row has 2 cells, the header 1"),
        ("id,id\n1,2\n", "t.csv:1", "two columns have the same name"),
        ('id\n"1\n', "t.csv:2", "not valid CSV"),
        (b"\xff\xfe", "t.csv", "not UTF-8"),
    ],
)
def test_a_broken_table_is_an_error_with_file_and_line(
    table: Any, content: Any, where: Any, says: Any
) -> None:
    with pytest.raises(WorkloadError) as caught:
        table(content)
    assert str(caught.value.where).endswith(where)
    assert says in caught.value.what


def test_a_missing_table_is_named(tmp_path: Any) -> None:
    with pytest.raises(WorkloadError, match="cannot read the CSV file"):
        read_table(tmp_path / "nope.csv")


def test_values_are_written_as_they_are() -> None:
    variable = VariableSpec.model_validate({"values": ["A-17", 3, 1.5]}).variable()
    assert variable == ListVariable(values=("A-17", "3", "1.5"))
    # 64 bits in three equal parts: the bounds are at 2**64 / 3 and twice that.
    third = 2**64 // 3
    bits = [0, third, third + 1, 2 * third, 2 * third + 1, 2**64 - 1]
    assert [variable.sample(b) for b in bits] == ["A-17", "A-17", "3", "3", "1.5", "1.5"]


def test_ranges_include_both_ends() -> None:
    assert VariableSpec.model_validate({"int": [1, 3]}).variable() == IntVariable(low=1, high=3)
    wide = IntVariable(low=1, high=3)
    assert [wide.sample(bits) for bits in (0, 2**63, 2**64 - 1)] == ["1", "2", "3"]
    assert IntVariable(low=-5, high=-5).sample(2**64 - 1) == "-5"


@pytest.mark.parametrize(
    ("low", "high", "decimals"), [(0, 500, 2), (0, 1, 3), (0, 0.001, 6), (2, 2, 2), (0, 50, 2)]
)
def test_floats_have_as_many_decimals_as_their_range_needs(
    low: Any, high: Any, decimals: Any
) -> None:
    variable = VariableSpec.model_validate({"float": [low, high]}).variable()
    assert isinstance(variable, FloatVariable)
    for bits, expected in ((0, low), (2**63, (low + high) / 2), (2**64 - 1, high)):
        drawn = variable.sample(bits)
        assert len(drawn.partition(".")[2]) == decimals
        assert float(drawn) == pytest.approx(expected)


def test_templates_take_names_and_nothing_else() -> None:
    assert placeholder_names("a {{ b }} {{c}} {{ b }}") == {"b", "c"}
    assert render("a {{ b }} {{c}}", {"b": "{{ c }}", "c": "x"}) == "a {{ c }} x"
    for broken in ("{{", "{{ }}", "{{ a b }}", "{{ a", "{{ a|upper }}"):
        with pytest.raises(ValueError, match="not followed by one name"):
            placeholder_names(broken)


@given(st.text().filter(lambda text: "{{" not in text), st.text())
def test_what_surrounds_a_placeholder_stays_and_values_are_not_read_again(
    around: Any, value: Any
) -> None:
    filled = render(around + " {{ x }} " + around, {"x": value})
    assert filled == f"{around} {value} {around}"
