"""README.zh.md is README.md's translation, and says so where it lags (spec/docs.md)."""

import sys

import chinese
import pytest
from support.processes import run

ENGLISH = """\
# Tool

Text with [a link](a.md) and 1,000 words.

## Use it

```
tool run  # a comment
# not a heading
```

| a | b |
|---|---|
| 1.5 | 20 % |

<!-- bench: table -->
made 3
<!-- /bench -->
"""
CHINESE = """\
# 工具

有[链接](a.md)和 1,000 个词。

## 使用

```
tool run  # 注释
# 不是标题
```

| 甲 | 乙 |
|---|---|
| 1.5 | 20 % |

<!-- bench: table -->
made 2
<!-- /bench -->
"""


@pytest.mark.clause("DOC-006")
def test_the_chinese_readme_is_in_step():
    """Nothing differs; ``python docs/chinese.py`` says the same, and ends with status 0."""
    wrong = [*chinese.differences(*(page.read_text("utf-8") for page in chinese.PAIR))]
    if wrong:
        pytest.fail("\n".join(wrong))
    english, translation = (page.read_text("utf-8") for page in chinese.PAIR)
    assert "](README.zh.md)" in english.split("\n## ")[0]
    assert "](README.md)" in translation.split("\n## ")[0]
    script = chinese.ROOT / "docs" / "chinese.py"
    said = run([sys.executable, script])
    assert said.stdout == "README.zh.md is in step with README.md\n"


@pytest.mark.clause("DOC-006")
def test_a_section_that_is_stamped_is_in_step():
    """Comments may differ, and what a command has written is copied; stamping again is nothing."""
    stamped = chinese.stamped(ENGLISH, CHINESE, [])
    assert not [*chinese.differences(ENGLISH, stamped)]
    assert "made 3" in stamped
    assert "made 2" not in stamped
    assert chinese.stamped(ENGLISH, stamped, []) == stamped
    bare = "".join(line for line in stamped.splitlines(True) if not line.startswith("<!-- en"))
    assert bare == CHINESE.replace("made 2", "made 3")


@pytest.mark.clause("DOC-006")
@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("words.", "old words.", ["Tool (工具): lags"]),
        ("1,000", "2,000", ["Tool (工具): lags", "figures differ: only in English ['2,000']"]),
        ("a.md", "b.md", ["Tool (工具): lags", "links differ: only in English ['b.md']"]),
        ("tool run", "tool go", ["Use it (使用): lags", "the blocks of code differ"]),
        ("1.5", "1.6", ["Use it (使用): lags", "figures differ: only in English ['1.6']"]),
        ("## Use", "### Use", ["the headings differ"]),
        ("## Use it", "## Use it now", ["Use it now (使用): lags"]),
    ],
)
def test_a_change_of_the_english_is_told(old, new, told):
    """Section by section: that it lags, and what differs for all to see; the others are silent."""
    stamped = chinese.stamped(ENGLISH, CHINESE, [])
    wrong = [*chinese.differences(ENGLISH.replace(old, new), stamped)]
    assert len(wrong) == len(told)
    for line, part in zip(wrong, told, strict=True):
        assert part in line


@pytest.mark.clause("DOC-006")
def test_a_change_of_the_chinese_is_told():
    """A figure or a command that was changed there alone is found under a good stamp too."""
    stamped = chinese.stamped(ENGLISH, CHINESE, [])
    (wrong,) = chinese.differences(ENGLISH, stamped.replace("| 1.5 |", "| 1.7 |"))
    assert wrong.endswith("only in English ['1.5'], only in Chinese ['1.7']")
    (wrong,) = chinese.differences(ENGLISH, stamped.replace("tool run", "tool"))
    assert "the blocks of code differ" in wrong


@pytest.mark.clause("DOC-006")
def test_one_section_is_stamped_alone():
    """The others go on to lag; a section that there is not is refused."""
    stamped = chinese.stamped(ENGLISH, CHINESE, ["Use it"])
    (wrong,) = chinese.differences(ENGLISH, stamped)
    assert wrong.startswith("Tool (工具): lags")
    with pytest.raises(ValueError, match="no section"):
        chinese.stamped(ENGLISH, CHINESE, ["Tools"])
