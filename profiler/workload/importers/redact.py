"""Replacing what names or endangers a person: e-mail addresses, phone and card numbers, keys.

By patterns, so neither complete nor exact: names and addresses of streets stay, and a number that
only looks like a phone's goes. Own patterns (`--redact-pattern`) add to it.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson

from profiler.errors import UsageError
from profiler.redaction import KEY_NAME, KEYS, LOGIN, NAMED_KEY, NAMED_KEY_HINT
from profiler.workload.patterns import TooSlowError, compiled, replaced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profiler.workload.conversations import Message

EMAIL, PHONE, KEY, CARD, OWN = "email", "phone", "key", "card", "redacted"
KINDS = {
    EMAIL: "e-mail addresses",
    PHONE: "phone numbers",
    KEY: "keys",
    CARD: "card numbers",
    OWN: "matches of own patterns",
}

_DOMAIN = r"\w[\w-]*(?:\.[\w-]+)*\.[^\W\d_][\w-]+"  # ends in letters: `package@1.2` is no address
_EMAIL = re.compile(rf"(?<![\w.+%-])[\w.+%-]++@{_DOMAIN}")
_EMAIL_IN_URL = re.compile(rf"(?<![\w.+-])(?:[\w.+-]|%2[Bb])++%40{_DOMAIN}")
_BLANKS = "\u00a0\u2009\u202f"  # that do not break, or are thin: copied from pages
_HYPHENS = "\u2010-\u2015"  # that do not break, and dashes
_DIGITS = re.compile(rf"\d{{6}}|\d[ ()./{_BLANKS}{_HYPHENS}-]{{1,3}}\d")
_CARD = re.compile(
    rf"""(?<![\w.])\d(?:[ {_BLANKS}{_HYPHENS}-]{{0,2}}\d){{12,}}(?!\w)
    | (?<![\w.])\d{{4}}(?:\.\d{{4}}){{3}}(?![\w.])""",
    re.VERBOSE,
)
_CARD_DIGITS = range(13, 20)
_GAP = rf"[ ./{_BLANKS}{_HYPHENS}-]"
_PHONE = re.compile(
    rf"""(?<![\w+])\+\d{{1,3}}(?:{_GAP}?\(?\d{{1,4}}\)?){{2,6}}(?!\w)     # +49 (30) 123 456
    | (?<![\w.])00[1-9]\d{{0,2}}(?:{_GAP}?\d{{2,4}}){{2,5}}(?!\w)        # 0049 30 123456
    | (?<![\w.])(?:1{_GAP}?)?(?:\([2-9]\d\d\)[ {_BLANKS}]?|[2-9]\d\d{_GAP})
      \d{{3}}{_GAP}?\d{{4}}(?!\w)                                       # (555) 234-5678
    | (?<![\w.])1?[2-9]\d\d[2-9]\d{{6}}(?![\w.])                     # 5552345678
    | (?<![\w.:-])(?:\(0\d{{1,4}}\)|0\d{{1,4}})[ /{_BLANKS}{_HYPHENS}-]?\d{{2,4}}
      (?:[ /{_BLANKS}{_HYPHENS}-]?\d{{2,4}}){{1,4}}(?![\w:])
    """,
    re.VERBOSE,
)
_PHONE_DIGITS = range(8, 20)
_NATIONAL_DIGITS = 9
_OWN_LIMIT_S = 5.0
_STRUCTURE = frozenset({"role", "type", "id", "tool_call_id"})


class Redactor:
    """Replaces in texts, and counts what it replaced by kind."""

    def __init__(self, patterns: Sequence[str] = (), *, option: str = "--redact-pattern") -> None:
        """Compile own patterns, given by `option`. Raises UsageError for one that is none."""
        self.counts: Counter[str] = Counter()
        self._option = option
        self._own = [_compiled(pattern, option) for pattern in patterns]

    def text(self, text: str) -> str:
        """Return a text without what was found in it: `[email]`, `[card]`, ... stand there."""
        for pattern in self._own:
            text = self._own_replaced(pattern, text)
        if "@" in text:
            text = self._replaced(_EMAIL, EMAIL, text)
        if "%40" in text:
            text = self._replaced(_EMAIL_IN_URL, EMAIL, text)
        text = self._replaced(KEYS, KEY, text)
        if "://" in text:
            text = self._replaced(LOGIN, KEY, text)
        if NAMED_KEY_HINT.search(text):
            text = NAMED_KEY.sub(self._named_key, text)
        if _DIGITS.search(text):
            text = _CARD.sub(self._cards, text)
            text = _PHONE.sub(self._phone, text)
        return text

    def message(self, message: Message) -> Message:
        """Return a chat message with all its texts redacted, tool calls' arguments included."""
        return {key: self._part(key, value) for key, value in message.items()}

    def _part(self, key: str, value: Any) -> Any:
        """Redact a part of a message; what ties calls to results stays."""
        if isinstance(value, str):
            if key in _STRUCTURE:
                return value
            return self._arguments(value) if key == "arguments" else self.text(value)
        if isinstance(value, dict):
            return {name: self._part(name, inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._part("", item) for item in value]
        return value

    def _arguments(self, text: str) -> str:
        """Redact within JSON, so that it stays JSON; the spelling stays where nothing is found."""
        try:
            data = orjson.loads(text)
        except orjson.JSONDecodeError:
            return self.text(text)
        redacted = self._value(data)
        return text if redacted == data else orjson.dumps(redacted).decode()

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, int) and not isinstance(value, bool):
            redacted = self.text(str(value))
            return value if redacted == str(value) else redacted
        if isinstance(value, dict):
            return {self.text(name): self._field(name, inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._value(item) for item in value]
        return value

    def _field(self, name: str, value: Any) -> Any:
        """Redact a field of arguments; one that is called a key is one, whatever stands in it."""
        is_one = isinstance(value, str | int) and not isinstance(value, bool) and value != ""
        if is_one and KEY_NAME.search(name):
            self.counts[KEY] += 1
            return f"[{KEY}]"
        return self._value(value)

    def _replaced(self, pattern: re.Pattern[str], kind: str, text: str) -> str:
        replaced, count = pattern.subn(f"[{kind}]", text)
        if count:
            self.counts[kind] += count
        return replaced

    def _own_replaced(self, pattern: re.Pattern[str], text: str) -> str:
        """Replace matches of an own pattern; half a redaction is none, so a slow one ends it."""
        try:
            text, count = replaced(pattern, f"[{OWN}]", text, limit_s=_OWN_LIMIT_S)
        except TooSlowError as exc:
            raise UsageError(
                f"'{pattern.pattern}' takes more than {_OWN_LIMIT_S:g} s on a text of "
                f"{len(text):,} characters",
                where=self._option,
                fix="Write it without repeats within repeats, such as (a+)+",
            ) from exc
        if count:
            self.counts[OWN] += count
        return text

    def _named_key(self, found: re.Match[str]) -> str:
        self.counts[KEY] += 1
        return f"{found[1]}[{KEY}]"

    def _cards(self, found: re.Match[str]) -> str:
        """Replace the groups of digits that are a card's number, whatever stands beside them."""
        text = found[0]
        groups = list(re.finditer(r"\d+", text))
        parts, written, first = [], 0, 0
        while first < len(groups):
            last = _card_end(groups, first)
            if last is None:
                first += 1
                continue
            self.counts[CARD] += 1
            parts.append(f"{text[written : groups[first].start()]}[{CARD}]")
            written, first = groups[last].end(), last + 1
        return "".join([*parts, text[written:]])

    def _phone(self, found: re.Match[str]) -> str:
        digits = sum(character.isdigit() for character in found[0])
        is_national = found[0].lstrip("(").startswith("0")
        least = _NATIONAL_DIGITS if is_national else _PHONE_DIGITS.start
        if digits < least or digits >= _PHONE_DIGITS.stop:
            return found[0]
        self.counts[PHONE] += 1
        return f"[{PHONE}]"


def passes_luhn(digits: str) -> bool:
    """Say whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B)."""
    doubled = digits[-2::-2].translate(_DOUBLED)
    return sum(map(int, digits[::-2] + doubled)) % 10 == 0


_DOUBLED = str.maketrans("0123456789", "0246813579")
"""Twice a digit, or the sum of the two digits that it has then."""


def _card_end(groups: list[re.Match[str]], first: int) -> int | None:
    """Return the last of the groups, from `first` on, that make a card's number together."""
    digits = ""
    for last in range(first, len(groups)):
        digits += groups[last][0]
        if len(digits) >= _CARD_DIGITS.stop:
            return None
        if len(digits) in _CARD_DIGITS and passes_luhn(digits):
            return last
    return None


def _compiled(text: str, option: str) -> re.Pattern[str]:
    try:
        pattern = compiled(text)
    except ValueError as exc:
        fix = "Write a regular expression as Python has them"
        raise UsageError(str(exc), where=option, fix=fix) from exc
    if pattern.search("") is not None:
        what = f"'{text}' matches where nothing is"
        raise UsageError(what, where=option, fix="Let it need a character or more")
    return pattern
