"""How a journal of an older version becomes one of this version: an Alembic environment, which needs no alembic.ini.

`actwright db upgrade` runs it, by `upkeep.upgrade`. A change of `journal/schema.py` comes with a file in `versions/`
whose `revision` becomes `SCHEMA_VERSION`; revisions are four digits, so that they sort. A test holds the tables that
the migrations make against those of the schema, to the letter.
"""

from __future__ import annotations
