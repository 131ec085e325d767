"""Decorated functions as mutmut can mutate them.

mutmut leaves a function with a decorator as it is, and with that every property of an evaluation
and the derivation of the draws' keys. ``@decorator`` before a function is ``name =
decorator(name)`` after it, which mutmut passes over, and the function has no decorator left.
"""

import ast

KNOWN = ("staticmethod", "classmethod")
"""Decorators that mutmut can deal with."""


def undecorated(source):
    """Return a module's source with the decorators of its functions applied after them.

    Methods of classes are such functions, functions within functions are not. All else stays as
    it is, comments included.
    """
    lines = source.splitlines()
    tree = ast.parse(source)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    functions = [node for part in (tree, *classes) for node in part.body if _has_decorator(node)]
    for node in sorted(functions, key=lambda node: node.lineno, reverse=True):
        name, indent = node.name, " " * node.col_offset
        for decorator in node.decorator_list:  # the last one is the first to be applied
            applied = f"{indent}{name} = {ast.unparse(decorator)}({name})"
            lines.insert(node.end_lineno, applied)
        del lines[node.decorator_list[0].lineno - 1 : node.lineno - 1]
    return "\n".join([*lines, ""])


def _has_decorator(node):
    if not isinstance(node, ast.FunctionDef):
        return False
    return any(ast.unparse(decorator) not in KNOWN for decorator in node.decorator_list)
