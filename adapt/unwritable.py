"""What to do about a file or folder that cannot be written: a full disk needs other advice than a missing right."""

import errno
import re

RIGHT = "get the right to write there"
FILE_IN_PLACE = "move the file away that is where a folder should be"
FOLDER_IN_PLACE = "move the folder away that is in its place"
REMEDIES = {
    errno.ENOSPC: "free space",
    errno.EDQUOT: "free space, as your quota is used up",
    errno.EACCES: RIGHT,
    errno.EPERM: RIGHT,
    errno.EROFS: "mount its file system for writing",
    errno.ENOTDIR: FILE_IN_PLACE,
    errno.EEXIST: FILE_IN_PLACE,
    errno.EISDIR: FOLDER_IN_PLACE,
    errno.ENOTEMPTY: FOLDER_IN_PLACE,
    errno.ENOENT: "make the folder that it belongs in",
    errno.ENAMETOOLONG: "shorten its name",
}
OTHERWISE = "see whether the disk has space and is in order"
IN_TEXT = re.compile(r"\(os error (\d+)\)")
"""How libraries in Rust, such as safetensors, name the error of the system."""


def unwritable(what: object, error: Exception, then: str) -> str:
    """The message that something cannot be written: why, and the remedy by the error's number.

    Args:
        what: cannot be written; with the name of its path.
        error: of the system, or of a library that met one.
        then: what else can be done, or what comes after the remedy: `or set cache=/another/folder`.
    """
    reason = getattr(error, "strerror", None) or error
    return f"{what} cannot be written ({reason}); {REMEDIES.get(_number(error), OTHERWISE)}, {then}"


def _number(error: Exception) -> int:
    """The system's number of an error; 0 where nobody says it."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = IN_TEXT.search(str(error))
    return 0 if found is None else int(found[1])
