"""XML of other programs, read without a document type: so no entity is ever expanded or fetched."""

from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

from adapt.errors import NO_FILE, DataError


def read_xml(path: Path) -> ElementTree.Element:
    """The root of an XML file.

    Raises:
        DataError: missing, not well formed, or with a document type, which could expand into any size or name files.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: {NO_FILE}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    builder = ElementTree.TreeBuilder()

    def refuse(*_: object) -> None:
        raise DataError(f"{path}: has a document type (<!DOCTYPE), which is not read; remove it, or export it again")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(content, True)
        return builder.close()
    except (expat.ExpatError, AssertionError, ValueError, LookupError) as error:  # LookupError: an unknown encoding
        raise DataError(f"{path}: not well formed XML ({error}); export it again") from None
