"""What a refused request means: a limit to wait out, something to try again, or a mistake that stays one."""

from __future__ import annotations

import re
from datetime import datetime

from maestro.agents.base import Claim, Verdict
from maestro.agents.claude_limits import reset_time, speaks_of_limit

_LIMIT_STATUS = frozenset({402, 429, 529})
_HOPELESS_STATUS = frozenset({401, 403, 404})
_QUOTA = re.compile(
    r"exceeded your (?:current )?quota|insufficient[ _](?:quota|credits?|balance|funds)"
    r"|(?<!disk )quota (?:has been )?exceeded|resource[ _]exhausted|overloaded|too many requests|out of credits"
    r"|spending (?:limit|cap)|billing (?:hard )?limit",
    re.IGNORECASE,
)
_HOPELESS = re.compile(
    r"(?:invalid|incorrect|missing|no) (?:x-)?api[ -]?key|not logged in|please (?:log|sign) in|log in first"
    r"|authentication (?:failed|required)|unauthori[sz]ed|(?:invalid|unknown) model|no such model"
    r"|\bmodel ['\"]?[\w./:@-]+['\"]? (?:was )?not found",
    re.IGNORECASE,
)
_STATUS = re.compile(r"^(?:Error:\s*)?(?:HTTP\s*)?([45]\d\d)\b")


def judge_refusal(message: str, now: datetime, status: int | None = None, after: str = "") -> Verdict:
    """The verdict on an attempt that ended with this error. `status`: of the HTTP answer, where it is known; else one
    that the message begins with. `after`: what the provider said about when to come back."""
    if status is None and (found := _STATUS.match(message)):
        status = int(found[1])
    reason = message.strip()[:500] or (f"refused with status {status}" if status else "an error without a text")
    if status in _LIMIT_STATUS or speaks_of_limit(message) or _QUOTA.search(message):
        reset = reset_time(after, now) or reset_time(message, now)
        return Verdict(claim=Claim.LIMIT, reason=reason, reset_at=reset)
    hopeless = status in _HOPELESS_STATUS or _HOPELESS.search(message) is not None
    return Verdict(claim=Claim.FAILED, reason=reason, retryable=not hopeless)
