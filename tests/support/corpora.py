"""Write documents to files of every kind that the corpus reads."""

import csv
import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq


def cells(documents, labels=None, *, delimiter=",", line_end="\r\n", column="text", quote=None):
    """Return a table of an id, the text and perhaps a label, in delimited cells."""
    out = io.StringIO()
    # The csv module quotes a carriage return only if it is part of its own line end.
    quoting = csv.QUOTE_ALL if line_end == "\n" or quote else csv.QUOTE_MINIMAL
    writer = csv.writer(out, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    header = ["id", column] if labels is None else ["id", column, "label"]
    writer.writerow(header)
    for index, document in enumerate(documents):
        writer.writerow([index, document] if labels is None else [index, document, labels[index]])
    return out.getvalue().encode()


def json_lines(documents, labels=None, *, line_end="\n", column="text", escape=True):
    """Return one JSON object a line, with escapes for what is not ASCII or without."""
    rows = [{column: document} for document in documents]
    for row, label in zip(rows, labels or [], strict=False):
        row["label"] = label
    return "".join(json.dumps(row, ensure_ascii=escape) + line_end for row in rows).encode()


def parquet(documents, labels=None, *, column="text", text_type=None, **options):
    """Return a parquet file."""
    columns = {column: pa.array(documents, text_type or pa.string())}
    if labels is not None:
        columns["label"] = pa.array(labels)
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, **options)
    return out.getvalue()


def write(path, content):
    """Write a file, its folders, and as gzip when its name ends so; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        content = content.encode()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path
