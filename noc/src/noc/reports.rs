//! What there is to say of a month.

use super::Noc;
use crate::availability::Month;
use crate::clock;
use crate::error::StoreError;
use crate::operators::OrganisationId;
use crate::store::standings::{self, AvailabilityReport, SiteReport};
use crate::tables::availability::export;
use muster_protocol::id::SiteId;

impl Noc {
    /// Availability in a month, or in this one so far: of all sites, of those of an organisation, or of one.
    pub fn availability(
        &self,
        month: Option<Month>,
        organisation: Option<OrganisationId>,
        site: Option<SiteId>,
    ) -> Result<AvailabilityReport, StoreError> {
        let now = clock::now();
        let month = month.unwrap_or_else(|| Month::of(now));
        let sites = self.of_month(now, month, organisation, site)?;
        Ok(AvailabilityReport { month: month.to_string(), is_whole: month.end() <= now, sites })
    }

    /// [`Noc::availability`] as CSV: a line for each appliance at each site.
    pub fn availability_csv(
        &self,
        month: Option<Month>,
        organisation: Option<OrganisationId>,
        site: Option<SiteId>,
    ) -> Result<String, StoreError> {
        let now = clock::now();
        let month = month.unwrap_or_else(|| Month::of(now));
        Ok(export(month, &self.of_month(now, month, organisation, site)?))
    }

    fn of_month(
        &self,
        now: u64,
        month: Month,
        organisation: Option<OrganisationId>,
        site: Option<SiteId>,
    ) -> Result<Vec<SiteReport>, StoreError> {
        self.inner.store.read_now(move |db| standings::report(db, now, month, None, organisation, site))
    }
}
