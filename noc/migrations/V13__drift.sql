-- What a site's appliances do about settings that are changed by hand: `report` or `restore`; NULL: what the image of each says.
ALTER TABLE sites ADD COLUMN drift TEXT;
