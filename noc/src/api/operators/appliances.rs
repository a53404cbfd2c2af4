//! Appliances: what they are and do, and what the NOC gives to them with the answers to their beats.

use super::forms::SettingsForm;
use super::{Answer, Form, change, scope, see};
use crate::api::answer::{IfMatch, tag};
use crate::api::caller::Caller;
use crate::api::request::{Asked, time};
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault, Page, Window};
use crate::audit::By;
use crate::clock;
use crate::operators::Role;
use crate::operators::access::{Access, Needs, OrganisationId, Scope};
use crate::store::fleet::{self, ApplianceFilter, OwnedAppliance};
use crate::store::sorting::SortedWindow;
use crate::store::{history, word};
use crate::versions::checked_why;
use crate::work::{self, Edit, GivenView};
use axum::extract::{Path, State};
use muster_protocol::api::{ApplianceRecord, BeatValues, Health, Provisioning};
use muster_protocol::id::{SiteId, Uid};
use muster_protocol::parameters::RawSettings;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

const READ: Needs = Needs::Scope(Scope::ReadAppliances);
const WRITE: Needs = Needs::Scope(Scope::WriteAppliances);
/// Longest text that is looked for.
const MAX_TEXT: usize = 64;

pub(super) fn routes() -> Vec<Route> {
    let (reads, writes) = (scope(Scope::ReadAppliances), scope(Scope::WriteAppliances));
    vec![
        Route::get("/v1/appliances", reads, list)
            .says("appliances", "Appliances, with what they are set to and how they are")
            .query::<Filter>()
            .lists::<ApplianceView>(),
        Route::get("/v1/appliances/{uid}", reads, show).says("appliances", "One appliance").shows::<ApplianceView>(),
        Route::get("/v1/appliances/{uid}/beats", reads, history)
            .says("appliances", "Its beats of the last 48 hours, oldest first")
            .query::<Since>()
            .lists::<BeatView>(),
        Route::get("/v1/appliances/{uid}/settings", reads, settings)
            .says("appliances", "What it is set to, and what the NOC gives it")
            .shows::<SettingsView>()
            .tagged(),
        Route::patch("/v1/appliances/{uid}/settings", writes, configure)
            .says("appliances", "Give it other settings with the answer to its next beat. What is not named stays")
            .takes::<SettingsChange>()
            .shows::<SettingsView>()
            .conditional()
            .faults(&[409]),
    ]
}

/// Which, and how many.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Filter {
    /// Rows of a page: 1 to 1,000, usually 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
    /// Only of this organisation.
    #[param(value_type = Option<u64>)]
    organisation: Option<OrganisationId>,
    /// Only of this site.
    #[param(value_type = Option<u64>)]
    site: Option<SiteId>,
    /// Only those that stand so with beats.
    #[param(value_type = Option<HealthForm>, inline)]
    health: Option<Health>,
    /// Only those that stand so with configuration.
    #[param(value_type = Option<ProvisioningForm>, inline)]
    provisioning: Option<Provisioning>,
    /// Only of this model.
    model: Option<String>,
    /// Part of a serial number, host name, address or MAC address.
    #[param(max_length = 64)]
    text: Option<String>,
    /// In this order: `name` (host name, or serial number of those without), `address`, `mac`, `model`, `serial`, `health` (the worst first)
    /// or `provisioning`; with `-` before it the other way around. Without it, as they became known.
    #[param(pattern = "^-?(name|address|mac|model|serial|health|provisioning)$")]
    sort: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Since {
    /// Only those at this time or later, Unix seconds.
    since: Option<u64>,
}

/// An appliance, and whose it is.
#[derive(Serialize, ToSchema)]
pub(super) struct ApplianceView {
    /// Whose it is.
    organisation: OrganisationId,
    #[serde(flatten)]
    #[schema(value_type = ApplianceForm)]
    record: ApplianceRecord,
}

#[derive(ToSchema)]
#[schema(as = ApplianceRecord)]
#[expect(dead_code, reason = "describes muster_protocol's ApplianceRecord")]
struct ApplianceForm {
    /// Its identity.
    uid: String,
    /// MAC address of the manifest or of the first claim.
    mac: String,
    /// Serial number, or empty.
    serial: String,
    /// Model, or empty.
    model: String,
    /// Its site, once it was planned or claimed there.
    site: Option<u32>,
    /// The settings last granted and reported applied.
    settings: Option<SettingsForm>,
    /// How it stands with configuration.
    provisioning: ProvisioningForm,
    /// How it stands with beats.
    health: HealthForm,
    /// Time of the last accepted beat, Unix seconds.
    last_beat: Option<u64>,
    /// Its last beat: docs/protocol-noc.md.
    #[schema(value_type = Option<Object>)]
    beat: Option<BeatValues>,
    /// The NOC has a voucher of its vendor for it. Absent when it has not.
    #[schema(required = false)]
    has_voucher: bool,
}

#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Health)]
#[expect(dead_code, reason = "describes muster_protocol's Health")]
enum HealthForm {
    NotExpected,
    NeverReported,
    Well,
    Late,
    Silent,
    Recovering,
    Failing,
    Unreachable,
    Maintenance,
}

#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Provisioning)]
#[expect(dead_code, reason = "describes muster_protocol's Provisioning")]
enum ProvisioningForm {
    Known,
    Granted,
    Configured,
    Failed,
    Decommissioned,
    Replaced,
}

#[derive(Serialize, ToSchema)]
struct BeatView {
    /// When it was accepted or, of one that came late, measured; Unix seconds.
    at: u64,
    /// What it reported: docs/protocol-noc.md.
    #[schema(value_type = Object)]
    values: BeatValues,
}

#[derive(Serialize, ToSchema)]
struct SettingsView {
    /// What it is set to.
    #[schema(value_type = Option<SettingsForm>)]
    settings: Option<RawSettings>,
    /// The last settings that the NOC gave it itself, and how they stand.
    #[schema(value_type = Option<Object>)]
    given: Option<GivenView>,
}

/// Changes of settings; what is absent stays. An empty gateway or name server is none.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({ "address": "192.0.2.50" }))]
struct SettingsChange {
    host_name: Option<String>,
    domain: Option<String>,
    address: Option<String>,
    netmask: Option<String>,
    gateway: Option<String>,
    dns1: Option<String>,
    dns2: Option<String>,
    address6: Option<String>,
    gateway6: Option<String>,
    /// Time servers with a space between them; `none` for none, empty for what the policy gives.
    ntp: Option<String>,
    /// Domains that are searched beside the domain; the same form.
    search_domains: Option<String>,
    /// The text of one JSON object; `{}` for none, empty for what the policy gives.
    application: Option<String>,
    /// Why; kept with the version.
    #[serde(default)]
    #[schema(max_length = 256)]
    why: String,
}

/// `GET /v1/appliances`
async fn list(State(app): State<App>, caller: Caller, Asked(asked): Asked<Filter>) -> Result<Answer, ApiError> {
    let order = match &asked.sort {
        None => Order::Known(Window::of(asked.limit, asked.after.as_deref())?),
        Some(sort) => {
            let limit = Window::of(asked.limit, None)?.limit;
            Order::Sorted(SortedWindow::of(limit, sort.parse()?, asked.after.as_deref())?)
        }
    };
    if asked.text.as_ref().is_some_and(|text| text.len() > MAX_TEXT) {
        return Err(ApiError::Malformed { why: format!("`text` is longer than {MAX_TEXT} bytes") });
    }
    let filter = ApplianceFilter {
        organisation: asked.organisation,
        site: asked.site,
        health: asked.health.map(|health| word(&health)),
        provisioning: asked.provisioning.map(|provisioning| word(&provisioning)),
        model: asked.model,
        text: asked.text,
    };
    let found = see(&app, caller, READ, move |db, access| {
        let reader = access.operator;
        Ok(match &order {
            Order::Known(window) => fleet::appliances(db, reader, &filter, *window)?,
            Order::Sorted(window) => fleet::appliances_sorted(db, reader, &filter, window)?,
        })
    });
    let Page { items, next } = found.await?;
    Answer::of(&Page { items: items.into_iter().map(ApplianceView::of).collect(), next })
}

/// The order of a list, and where it begins.
enum Order {
    Known(Window),
    Sorted(SortedWindow),
}

impl ApplianceView {
    pub(super) fn of(owned: OwnedAppliance) -> ApplianceView {
        ApplianceView { organisation: owned.organisation, record: owned.record }
    }
}

/// `GET /v1/appliances/{uid}`
async fn show(State(app): State<App>, caller: Caller, Path(uid): Path<String>) -> Result<Answer, ApiError> {
    let found = see(&app, caller, READ, move |db, access| seen(db, access, &uid, Role::Viewer));
    Answer::of(&ApplianceView::of(found.await?))
}

/// `GET /v1/appliances/{uid}/beats?since=T`
async fn history(
    State(app): State<App>,
    caller: Caller,
    Path(uid): Path<String>,
    Asked(asked): Asked<Since>,
) -> Result<Answer, ApiError> {
    let since = time("since", asked.since)?.unwrap_or(0);
    let found = see(&app, caller, READ, move |db, access| {
        let owned = seen(db, access, &uid, Role::Viewer)?;
        Ok(history::beats(db, owned.row, since)?)
    });
    let items = found.await?.into_iter().map(|beat| BeatView { at: beat.at, values: beat.values }).collect();
    Answer::of(&Page { items, next: None })
}

/// `GET /v1/appliances/{uid}/settings`
async fn settings(State(app): State<App>, caller: Caller, Path(uid): Path<String>) -> Result<Answer, ApiError> {
    let found = see(&app, caller, READ, move |db, access| {
        let uid = seen(db, access, &uid, Role::Viewer)?.record.uid;
        settings_of(db, &uid)
    });
    let found = found.await?;
    Ok(Answer::of(&found)?.tagged(&tag(&found)?))
}

/// `PATCH /v1/appliances/{uid}/settings`
async fn configure(
    State(app): State<App>,
    caller: Caller,
    Path(uid): Path<String>,
    version: IfMatch,
    form: Form<SettingsChange>,
) -> Result<Answer, ApiError> {
    let SettingsChange {
        host_name,
        domain,
        address,
        netmask,
        gateway,
        dns1,
        dns2,
        address6,
        gateway6,
        ntp,
        search_domains,
        application,
        why,
    } = form.value;
    let why = checked_why(&why)?;
    let edit = Edit {
        host_name,
        domain,
        address,
        netmask,
        gateway,
        dns1,
        dns2,
        address6,
        gateway6,
        ntp,
        search_domains,
        application,
    };
    let noc = app.noc.clone();
    let changed = change(&app, caller, WRITE, move |db, access| {
        let uid = seen(db, access, &uid, Role::Operator)?.record.uid;
        version.check(&settings_of(db, &uid)?)?;
        work::change(db, &noc, &By::operator(access), &why, &uid, edit)?;
        settings_of(db, &uid)
    });
    let after = changed.await?;
    Ok(Answer::of(&after)?.tagged(&tag(&after)?))
}

fn settings_of(db: &Connection, uid: &Uid) -> Result<SettingsView, ApiError> {
    let detail = work::detail(db, clock::now(), uid)?;
    Ok(SettingsView { settings: detail.record.settings, given: detail.given })
}

/// The appliance, if they have this role at its site.
pub(super) fn seen(db: &Connection, access: &Access, uid: &str, role: Role) -> Result<OwnedAppliance, ApiError> {
    let uid: Uid = uid.parse().map_err(|_| Fault::NotFound)?;
    let owned = fleet::appliance(db, &uid)?.ok_or(Fault::NotFound)?;
    access.need(role, owned.place())?;
    Ok(owned)
}
