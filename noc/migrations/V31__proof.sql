-- The least proof of ownership that a site requires (decision 0047). What an organisation or a profile says of it is in their policies.
ALTER TABLE sites ADD COLUMN proof TEXT NOT NULL DEFAULT 'any';
-- Which proof an appliance asks for, by the last of its own signed answers that a console passed on; NULL for none.
ALTER TABLE appliances ADD COLUMN proof TEXT;
