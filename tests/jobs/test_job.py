"""Only changes of state that can happen are accepted."""

from itertools import product

import pytest

from retouch.errors import Conflict
from retouch.jobs.job import FINISHED, UNFINISHED, JobState, Outcome, check_transition

QUEUED, RUNNING, DONE, EXPIRED = JobState.QUEUED, JobState.RUNNING, JobState.DONE, JobState.EXPIRED
LEGAL = (
    {(QUEUED, RUNNING), (RUNNING, QUEUED)}
    | {(RUNNING, end) for end in FINISHED}
    | {(QUEUED, end) for end in FINISHED if end is not DONE}
    | {(end, EXPIRED) for end in FINISHED}
)


@pytest.mark.parametrize(("state", "following"), list(product(JobState, JobState)))
def test_a_change_of_state_is_legal_or_a_conflict(state: JobState, following: JobState) -> None:
    if (state, following) in LEGAL:
        check_transition(state, following)
    else:
        with pytest.raises(Conflict, match=f"the job is {state} and cannot become {following}"):
            check_transition(state, following)


def test_every_state_is_unfinished_finished_or_expired() -> None:
    assert UNFINISHED | FINISHED | {EXPIRED} == set(JobState)


@pytest.mark.parametrize("state", [QUEUED, RUNNING, EXPIRED])
def test_an_outcome_is_an_end(state: JobState) -> None:
    with pytest.raises(AssertionError):
        Outcome(state)
