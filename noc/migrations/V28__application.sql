-- Application settings of a site, JSON in its canonical form (decision 0042); empty for none. What an organisation or a profile says
-- of them is in their policies.
ALTER TABLE sites ADD COLUMN application TEXT NOT NULL DEFAULT '';
