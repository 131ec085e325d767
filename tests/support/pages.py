"""Tables that programs write into the pages of the specification, between two marks."""

import re


def put(text, name, content):
    """Return a page with what stands between ``<!-- NAME -->`` and ``<!-- /NAME -->`` replaced."""
    marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not marks.search(text):
        raise ValueError(f"the page has no place for {name}")
    return marks.sub(lambda found: found[1] + content + found[2], text)


def table(head, rows):
    """Return a table in Markdown; cells are text."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(map(cell, line)) + " |\n" for line in lines)


def cell(text):
    """Return text as it is read in a cell of a table."""
    return text.replace("|", "\\|").replace("[", "\\[").replace("<", "&lt;")
