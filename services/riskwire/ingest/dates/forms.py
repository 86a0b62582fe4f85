"""The forms of dates: regular expressions that match a whole text and name its parts."""

from __future__ import annotations

import re
from collections.abc import Iterator

_WORD = r"[^\W\d_]+"
_WEEKDAY = rf"(?:(?P<weekday>{_WORD}(?:-feira)?)\.?,? )?"
_DAY = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th|er|\.)?"
_MONTH = rf"(?P<month>{_WORD})\.?"
_DATES = (
    # 2026-07-16, 2026/7/6
    rf"{_WEEKDAY}(?P<year>[0-9]{{4}})(?P<mark>[-/.])(?P<month>[0-9]{{1,2}})(?P=mark)(?P<day>[0-9]{{1,2}})",
    # 16 Jul 2026, 16-Jul-26, 16. Juli 2026, 16 de julio de 2026, 16th of July, 2026
    rf"{_WEEKDAY}{_DAY}(?:-|/| )?(?:of |de )?{_MONTH}(?:-|/|,? )(?:de )?(?P<year>[0-9]{{4}}|[0-9]{{2}})",
    # July 16, 2026
    rf"{_WEEKDAY}{_MONTH} {_DAY}(?:, ?| )(?P<year>[0-9]{{4}})",
    # 2026-Jul-16
    rf"(?P<year>[0-9]{{4}})(?P<mark>[- /]){_MONTH}(?P=mark)(?P<day>[0-9]{{1,2}})",
    # 16/07/2026 or 07/16/2026
    rf"{_WEEKDAY}(?P<first>[0-9]{{1,2}})(?P<mark>[-/.])(?P<other>[0-9]{{1,2}})(?P=mark)(?P<year>[0-9]{{4}})",
    # 20260716
    r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})",
    # 2026-W29-4, 2026-197
    r"(?P<year>[0-9]{4})-W(?P<week>[0-9]{2})-(?P<day_of_week>[1-7])",
    r"(?P<year>[0-9]{4})-(?P<day_of_year>[0-9]{3})",
)
_HALF = r" ?(?P<half>[AaPp])\.?[Mm](?:\.|\b)"
_CLOCK = (
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,18}))?)?"
    rf"(?:{_HALF})?"
)
_HOUR = rf"(?P<hour>[0-9]{{1,2}}){_HALF}"
_ZONE = r"(?P<zone>[A-Za-z+-][A-Za-z0-9:/_+-]*(?: [+-]?[0-9:]{1,5}| [A-Za-z]{2,5})?)"
_COMMENT = r"(?: ?[(\[](?P<comment>[^()\[\]]+)[)\]])?"
_BETWEEN = r"(?: ?[Tt] ?|, ?| (?:[-–—|@] |at |um )?)"
_REMAINDERS = (
    rf"{_BETWEEN}{_CLOCK}(?:,? ?{_ZONE})?{_COMMENT}",
    r"(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?",
    rf"{_BETWEEN}{_HOUR}(?:,? ?{_ZONE})?{_COMMENT}",
    rf"[Tt ]?(?P<hour>[0-9]{{2}})(?P<minute>[0-9]{{2}})(?P<second>[0-9]{{2}})?(?: ?{_ZONE})?",
)
_FORMS = tuple(
    re.compile(form)
    for form in (
        *(date + remainder for date in _DATES for remainder in _REMAINDERS),
        # Thu Jul 16 15:35:19 GMT 2026
        rf"{_WEEKDAY}{_MONTH} {_DAY} {_CLOCK}(?: {_ZONE})? (?P<year>[0-9]{{4}})",
        # 3:35 PM ET, Thu July 16, 2026
        *(rf"{clock}(?:,? {_ZONE})?,? (?:on )?{date}" for date in _DATES[:5] for clock in (_CLOCK, _HOUR)),
    )
)


def matches(text: str) -> Iterator[dict[str, str]]:
    """Yields the parts of a text in each form that it has as a whole.

    Parts are `year`, `month` (a number or a name), `day`, or `first` and `other` where the order is open, or `week`
    and `day_of_week`, or `day_of_year`; `mark` between numbers; `weekday`; `hour`, `minute`, `second`, `fraction`,
    `half` (a or p); `zone`, and `comment` (text in brackets at the end). Parts that the text lacks are missing.
    """
    for form in _FORMS:
        if match := form.fullmatch(text):
            yield {name: part for name, part in match.groupdict().items() if part}
