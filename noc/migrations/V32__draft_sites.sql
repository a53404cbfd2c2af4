-- The sites whose appliances a draft changes. `drafts.site` is the first of them.
CREATE TABLE draft_sites (
    draft INTEGER NOT NULL REFERENCES drafts (id),
    site  INTEGER NOT NULL REFERENCES sites (id),
    PRIMARY KEY (draft, site)
) STRICT, WITHOUT ROWID;
CREATE INDEX draft_sites_by_site ON draft_sites (site, draft);
INSERT INTO draft_sites SELECT id, site FROM drafts;
