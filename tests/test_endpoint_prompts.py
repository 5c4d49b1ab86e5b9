"""Prompts of sessions: each call goes on with the words of those before it, and has words that no other has."""

from dataclasses import replace
from itertools import pairwise

from traffic_case import drawn

from wattbench.backends.endpoint.prompts import Lengths, prompts_of
from wattbench.backends.traffic import NONE

ONE_A_WORD = Lengths()


def test_a_session_goes_on_with_its_own_words() -> None:
    """Of 30 calls each begins with all the words that the calls before it shared, and each has its full length."""
    schedule = drawn("agentic", sessions=1, session="calls=30,first=20,new=7,answer=3", calls=1)
    prompts = [prompt.split() for prompt in prompts_of(schedule, 5, ONE_A_WORD)]
    shared = schedule.prefix_tokens.tolist()

    assert schedule.input_tokens.tolist() == [len(prompt) for prompt in prompts]
    for (before, n), (after, m) in pairwise(zip(prompts, shared, strict=True)):
        assert before[:n] == after[:n]
        assert before[n:] != after[n : n + len(before) - n]
        assert n < m


def test_sessions_of_a_group_share_its_system_prompt_and_nothing_else() -> None:
    """Of 40 sessions of two groups all calls begin with one of two texts of 12 words; another seed has other words."""
    words = "calls=3,system=12,groups=2,first=9,new=5,answer=1"
    schedule = drawn("agentic", sessions=4, session=words, calls=120)
    prompts = prompts_of(schedule, 5, ONE_A_WORD)
    sessions = dict(zip(schedule.session.tolist(), prompts, strict=True))

    assert 2 == len({tuple(prompt.split()[:12]) for prompt in prompts})
    assert len(sessions) == len({tuple(prompt.split()[12:20]) for prompt in sessions.values()})
    assert not set(prompts) & set(prompts_of(schedule, 6, ONE_A_WORD))


def test_a_call_of_a_group_without_a_session_has_the_same_words() -> None:
    """What begins a session of a group begins a lone call of that group too."""
    schedule = drawn("agentic", sessions=1, session="calls=2,system=12,first=9,new=5,answer=1", calls=1)
    lone = replace(schedule, session=schedule.session * 0 + NONE)

    assert prompts_of(schedule, 5, ONE_A_WORD)[0].split()[:12] == prompts_of(lone, 5, ONE_A_WORD)[0].split()[:12]
