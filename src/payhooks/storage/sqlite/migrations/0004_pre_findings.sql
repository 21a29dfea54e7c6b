-- What was found of an event when it was accepted, kept with it: see storage/findings.py.
ALTER TABLE events ADD COLUMN findings BLOB;
