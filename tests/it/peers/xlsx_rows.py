"""A third party's look into a workbook: ZIP and XML of the standard library, nothing else.

Prints one JSON object: for each sheet its name and its rows, a cell being text, a number or null. The rows begin with
the first of the sheet and the cells with column A.
"""

import json
import re
import sys
import zipfile
from xml.etree import ElementTree

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def text_of(item):
    return "".join(part.text or "" for part in item.iter(MAIN + "t"))


def column_of(reference):
    number = 0
    for letter in re.match("[A-Z]+", reference).group():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def value_of(cell, shared):
    value = cell.find(MAIN + "v")
    if cell.get("t") == "inlineStr":
        return text_of(cell)
    if value is None:
        return None
    return shared[int(value.text)] if cell.get("t") == "s" else float(value.text)


def rows_of(sheet, shared):
    rows = []
    for row in sheet.iter(MAIN + "row"):
        cells = {column_of(cell.get("r")): value_of(cell, shared) for cell in row.iter(MAIN + "c")}
        rows.append([cells.get(column) for column in range(max(cells, default=-1) + 1)])
    return rows


with zipfile.ZipFile(sys.argv[1]) as book:
    assert book.testzip() is None, "the file is whole"

    def part(name):
        return ElementTree.fromstring(book.read("xl/" + name))

    shared = [text_of(item) for item in part("sharedStrings.xml").iter(MAIN + "si")]
    targets = {relation.get("Id"): relation.get("Target") for relation in part("_rels/workbook.xml.rels")}
    sheets = {
        sheet.get("name"): rows_of(part(targets[sheet.get(RELATION)]), shared)
        for sheet in part("workbook.xml").iter(MAIN + "sheet")
    }
print(json.dumps(sheets))
