-- The vendor's voucher for an appliance: COSE_Sign1, as it came with the manifest. No secret.
ALTER TABLE appliances ADD COLUMN voucher BLOB;
