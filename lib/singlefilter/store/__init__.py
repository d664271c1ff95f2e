"""What is kept in `runs/`: finished stages, each a folder named by the hash of its configuration.

`stages` builds each once and finds it again; `manifests` seal them; `locks` keep two processes from building the same
one; `writing` puts files in place as a whole, `refusals` says why one cannot be; `keys` are made from configurations.
"""

from singlefilter.store.keys import LEFT_OUT, config_key, digest, plain
from singlefilter.store.locks import folder_while_alive, held, remove_dead
from singlefilter.store.manifests import MANIFEST, Unsealed, checked, seal, sealed
from singlefilter.store.refusals import Full, full, in_bytes, in_words, is_full, naming
from singlefilter.store.stages import (
    adopt,
    forget,
    is_complete,
    manifest,
    project_root,
    runs_folder,
    stage,
    stage_folder,
    summary,
)
from singlefilter.store.writing import atomic_file, file_checksum, note, noted, set_aside, stage_of, write_json

__all__ = [
    "LEFT_OUT",
    "Full",
    "MANIFEST",
    "Unsealed",
    "adopt",
    "atomic_file",
    "checked",
    "config_key",
    "digest",
    "file_checksum",
    "folder_while_alive",
    "forget",
    "full",
    "held",
    "in_bytes",
    "in_words",
    "is_complete",
    "is_full",
    "manifest",
    "naming",
    "note",
    "noted",
    "plain",
    "project_root",
    "remove_dead",
    "runs_folder",
    "seal",
    "sealed",
    "set_aside",
    "stage",
    "stage_folder",
    "stage_of",
    "summary",
    "write_json",
]
