"""Our words for what pydantic finds."""

from payhooks.wrong_shape import told


def test_what_there_are_no_words_for_is_told_without_the_librarys() -> None:
    """A kind that comes with its next version may quote the value."""
    found = {
        "type": "of_tomorrow",
        "loc": ("a",),
        "msg": "Got 'hunter2'",
        "ctx": {"got": "hunter2"},
    }
    assert told(found) == ("invalid", "This is not valid.")


def test_a_choice_that_is_wrong_is_not_repeated() -> None:
    """What it was may be a secret that was put into the wrong member."""
    context = {"discriminator": "'type'", "tag": "hunter2", "expected_tags": "'none', 'basic'"}
    found = {"type": "union_tag_invalid", "loc": ("a",), "msg": "tag 'hunter2'", "ctx": context}
    assert told(found) == ("invalid_choice", "This must be none or basic.")
