"""Gates as JUnit XML: what CI systems show as tests.

An inconclusive gate is an error and not a failure: it says nothing against the agent.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from profiler.report import comparison_words as words

if TYPE_CHECKING:
    from profiler.comparison.model import Comparison

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ELEMENTS = {"fail": "failure", "inconclusive": "error"}


def junit_xml(comparison: Comparison) -> bytes:
    """Return one test suite with one test case for each gate."""
    gates = comparison.gates
    suite = ET.Element(
        "testsuite",
        name=_text(f"agent-profiler compare {comparison.workload}"),
        tests=str(len(gates)),
        failures=str(sum(gate.verdict == "fail" for gate in gates)),
        errors=str(sum(gate.verdict == "inconclusive" for gate in gates)),
        skipped="0",
        timestamp=_text(comparison.candidate.started_at),
    )
    for gate in gates:
        case = ET.SubElement(
            suite, "testcase", classname="agent-profiler.gates", name=_text(words.gate_name(gate))
        )
        said = _text(f"{words.gate_rule(gate)}: {words.gate_reason(gate)}")
        if gate.verdict in _ELEMENTS:
            ET.SubElement(case, _ELEMENTS[gate.verdict], message=said, type=gate.verdict)
        else:
            ET.SubElement(case, "system-out").text = said
    ET.indent(suite)
    written: bytes = ET.tostring(suite, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _text(text: str) -> str:
    """Leave out what XML 1.0 has no way to write."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
