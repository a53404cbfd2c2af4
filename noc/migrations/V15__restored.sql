-- A database that was put back in the place of a later one goes on above what that one may have given (decision 0028): no grant has
-- a number up to the first of these, and a console that knows an earlier revision than the second starts anew.
ALTER TABLE noc ADD COLUMN seq_floor INTEGER NOT NULL DEFAULT 0;
ALTER TABLE noc ADD COLUMN first_revision INTEGER NOT NULL DEFAULT 0;
