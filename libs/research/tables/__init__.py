"""Tables of market history in files and data bases: read under any column names, written whole or not at all."""

from libs.research.tables.place import Place, TableError, place_of
from libs.research.tables.read import Table, read_table
from libs.research.tables.write import write_table

__all__ = ["Place", "Table", "TableError", "place_of", "read_table", "write_table"]
