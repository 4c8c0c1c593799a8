"""A terminal that comes later is put where the first one is, and is left as it was found."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from nexus.sessions.screen import TAIL_CHARACTERS, Screen


def followed(*texts: str) -> Screen:
    screen = Screen()
    for text in texts:
        screen.feed(text)
    return screen


def test_an_ordinary_screen_is_given_again_as_it_was_printed() -> None:
    assert followed("one\r\n", "\x1b[31mtwo\x1b[0m\r\n$ ").restored() == "\x1b[0mone\r\n\x1b[31mtwo\x1b[0m\r\n$ "


def test_only_the_newest_of_a_long_output_is_kept_from_a_lines_beginning_on() -> None:
    text = "".join(f"line {number}\r\n" for number in range(100_000))
    restored = followed(*(text[start : start + 5000] for start in range(0, len(text), 5000))).restored()
    assert TAIL_CHARACTERS - 100 < len(restored) < TAIL_CHARACTERS + 5100
    assert restored.startswith("\x1b[0mline ")
    assert text.endswith(restored.removeprefix("\x1b[0m"))


def test_what_was_cleared_is_not_shown_again() -> None:
    assert followed("old\r\n", "\x1b[H\x1b[2J", "new\r\n").restored() == "\x1b[0m\x1b[2Jnew\r\n"


def test_a_full_screen_program_leaves_the_screen_below_it_as_it_was() -> None:
    screen = followed("$ vim\r\n\x1b[?1049h\x1b[?25l", "painting all over\x1b[5;5H", "~\r\n")
    assert screen.alternate
    assert screen.restored() == "\x1b[0m$ vim\r\n\x1b[?1049h\x1b[2J\x1b[H\x1b[?25l"
    screen.feed("more\x1b[?25h\x1b[?1049l$ ")
    assert not screen.alternate
    assert screen.restored() == "\x1b[0m$ vim\r\n$ "


def test_the_modes_that_are_on_are_set_again_and_undone_at_the_end() -> None:
    printed = "\x1b[?1;2004h\x1b=\x1b[>4;2m\x1b[?1006h\x1b[?1006l\x1b[?7l"
    screen = followed(printed)
    assert screen.restored() == f"\x1b[0m{printed}\x1b[?1h\x1b[?2004h\x1b[?7l\x1b=\x1b[>4;2m"
    assert screen.undone() == "\x1b[>4m\x1b>\x1b[?7h\x1b[?2004l\x1b[?1l\x1b[0m"


def test_a_reset_leaves_no_mode_on() -> None:
    assert followed("\x1b[?1049h\x1b[?25l\x1b=", "\x1bc").undone() == "\x1b[0m"
    assert followed("\x1b[?2004h\x1b[!p").undone() == "\x1b[0m"


@given(cuts=st.lists(st.integers(0, 60), max_size=8))
def test_a_sequence_may_be_cut_anywhere(cuts: list[int]) -> None:
    text = "a\x1b[?1049h\x1b[?25lb\x1b[?1002;1006hc\x1b[?1049ld\x1b[>4;1m\x1b[31me\x1b=f"
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    screen = followed(*(text[start:end] for start, end in pairwise(places)))
    assert screen.modes == followed(text).modes
    assert screen.restored() == followed(text).restored()


def test_what_goes_on_behind_a_cut_sequence_is_whole() -> None:
    text = "before\x1b[?10"
    assert followed(text).restored() + "49h" == "\x1b[0mbefore\x1b[?1049h"
