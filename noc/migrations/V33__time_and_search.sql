-- Time servers and search domains of a site, with spaces between entries (decision 0046); empty for none. What an organisation or a
-- profile says of them is in their policies.
ALTER TABLE sites ADD COLUMN ntp TEXT NOT NULL DEFAULT '';
ALTER TABLE sites ADD COLUMN search_domains TEXT NOT NULL DEFAULT '';
