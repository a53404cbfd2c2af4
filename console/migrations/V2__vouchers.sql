-- The vendor's voucher, for an appliance that wants one. It goes with the grant.
ALTER TABLE item ADD COLUMN voucher BLOB;
