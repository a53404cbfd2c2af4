// Generated from console/src/view.rs by `cargo run -p muster-console --example bindings`. Do not edit.

/**
 * One appliance of an alert.
 */
export type AlertAppliance = {
/**
 * Identity.
 */
uid: string,
/**
 * Host name, else MAC.
 */
name: string,
/**
 * How it stands with beats now.
 */
health: RowHealth, };

/**
 * An alert.
 */
export type AlertView = {
/**
 * Stable number.
 */
id: number,
/**
 * What it is about.
 */
kind: RowAlertKind,
/**
 * The site.
 */
site: number,
/**
 * The health rule that is broken; empty for alerts of silence.
 */
rule: string,
/**
 * The appliances, by UID, with the name to show.
 */
appliances: Array<AlertAppliance>,
/**
 * When it opened.
 */
opened: number,
/**
 * When it closed, if it did.
 */
closed: number | null,
/**
 * When somebody said that they saw it.
 */
acknowledged: number | null,
/**
 * Who; or empty.
 */
acknowledged_by: string,
/**
 * What they said of it.
 */
note: string,
/**
 * Until when the NOC tells nobody of it.
 */
silenced_until: number | null,
/**
 * When it was escalated, because nobody acknowledged it.
 */
escalated: number | null, };

/**
 * The applet in a folder that its vendor works on, as it is now.
 */
export type AppletPreview = {
/**
 * The folder.
 */
folder: string,
/**
 * The applet; absent while it is not in order.
 */
applet: AppletView | null,
/**
 * Languages that it is translated into.
 */
languages: Array<string>,
/**
 * Another one for other contents.
 */
revision: string,
/**
 * What is wrong with it.
 */
problem: ProblemView | null, };

/**
 * Settings to begin with.
 */
export type AppletTemplate = {
/**
 * What they are called, to be translated.
 */
title: string,
/**
 * Values of the form; secrets and the like are missing.
 */
values: unknown, };

/**
 * An applet of a site, in the language that was asked for.
 */
export type AppletView = {
/**
 * What it is called everywhere.
 */
name: string,
/**
 * Its version.
 */
version: string,
/**
 * Its name for people, to be translated by `texts`.
 */
title: string,
/**
 * What it is for, to be translated.
 */
description: string,
/**
 * Models of the appliances it is for; a `*` at the end stands for any rest. Empty: all.
 */
models: Array<string>,
/**
 * What its own page may ask for.
 */
permissions: Array<string>,
/**
 * The form of its settings: the part of JSON Schema that muster-applet's `form` lets through; `items` have as their
 * `default` what a new item of the list begins with.
 */
form: unknown | null,
/**
 * The values that the form begins with.
 */
defaults: unknown,
/**
 * Settings to begin with.
 */
templates: Array<AppletTemplate>,
/**
 * Its help, plain text.
 */
help: string,
/**
 * It has a page of its own.
 */
hasPage: boolean,
/**
 * Its colour, `#1f6feb`.
 */
accent: string | null,
/**
 * Its logo, a `data:` address of a PNG.
 */
logo: string | null,
/**
 * Translations of its texts; what is missing stays as it is.
 */
texts: { [key in string]: string }, };

/**
 * One row of the discovery grid: what was heard on the LAN and what the NOC knows, merged by UID.
 */
export type ApplianceRow = {
/**
 * Identity, `ABCD-EFGH-…`.
 */
uid: string,
/**
 * MAC address, `AA:BB:CC:00:11:22`.
 */
mac: string,
/**
 * Maker by the IEEE table, or empty; `locally administered` has its own flag.
 */
maker: string,
/**
 * True for a MAC address that no maker was assigned.
 */
mac_is_local: boolean,
/**
 * Model from the inventory, or empty.
 */
model: string,
/**
 * Serial number from the inventory, or empty.
 */
serial: string,
/**
 * How it stands with configuration.
 */
state: RowState,
/**
 * The settings in force, as far as they are known; all empty when unconfigured.
 */
settings: Settings,
/**
 * Heard in this session of the console (false: known only from the NOC).
 */
heard: boolean,
/**
 * Addresses it answered from, with the interface, as `fe80::1%eth0`.
 */
heard_at: Array<string>,
/**
 * What it shares with another appliance, as `address 192.0.2.9 with ABCD-EFGH`; empty when nothing.
 */
conflicts: Array<string>,
/**
 * How it stands with beats.
 */
health: RowHealth,
/**
 * Time of the last accepted beat.
 */
last_beat: number | null,
/**
 * Last reported values.
 */
values: BeatView | null,
/**
 * The site's number, if it has one.
 */
site: number | null, };

/**
 * What became of the values of a form.
 */
export type ApplicationChecked = {
/**
 * What is wrong, by place.
 */
problems: Array<ApplicationProblem>,
/**
 * The values as they are sent to appliances: the same values are the same text.
 */
text: string,
/**
 * Its length.
 */
bytes: number, };

/**
 * What is wrong with a value of a form.
 */
export type ApplicationProblem = {
/**
 * Where, as a JSON pointer.
 */
path: string,
/**
 * A sentence that names what is wrong and what to do.
 */
message: string, };

/**
 * Reported values of one beat.
 */
export type BeatView = {
/**
 * When the NOC accepted it; zero inside a row, where `last_beat` says it.
 */
at: number,
/**
 * Seconds since the appliance started.
 */
uptime_s: number,
/**
 * One-minute load average.
 */
load: number,
/**
 * Memory in use, percent.
 */
memory_percent: number,
/**
 * Space in use on the fullest disk, percent.
 */
disk_percent: number,
/**
 * Application counters and gauges by name.
 */
counters: { [key in string]: number },
/**
 * Settings that somebody changed by hand, by stable words.
 */
drift: Array<string>,
/**
 * MAC of another host that claims its address.
 */
address_conflict: string | null,
/**
 * Why its settings are not in force: a stable word.
 */
network_problem: string | null,
/**
 * The appliance itself, as far as it says.
 */
host: HostView, };

/**
 * What this face of the interface can do; a browser has no LAN, tray or practice fleet.
 */
export type Capabilities = {
/**
 * Discovery and delivery on the local network.
 */
lan: boolean,
/**
 * A NOC can be started on this computer.
 */
local_noc: boolean,
/**
 * The NOC runs on this computer, so its inventory and sites can be changed here.
 */
manage_noc: boolean,
/**
 * The practice fleet is running.
 */
practice: boolean,
/**
 * The command line names folders of applets, for their vendor to look at.
 */
applet_preview: boolean, };

/**
 * One finding of the check, at its cell.
 */
export type CellError = {
/**
 * The appliance.
 */
uid: string,
/**
 * The column: `host_name`, `domain`, `address`, `netmask`, `gateway`, `dns1`, `dns2`, `address6`, `gateway6`, `ntp`,
 * `search_domains`, `application`.
 */
field: string,
/**
 * A stable word, as `duplicate_address`.
 */
code: string,
/**
 * What is wrong and what to do.
 */
message: string, };

/**
 * What came of asking after one appliance.
 */
export type CheckedView = {
/**
 * What it is called.
 */
name: string,
/**
 * Where it answered from just now, as `192.0.2.9%eth0`; empty when it did not.
 */
heard_at: Array<string>,
/**
 * Why it could not be asked, if so.
 */
problem: ProblemView | null,
/**
 * Whether the NOC answered just now.
 */
connected: boolean,
/**
 * How it stands with beats, as far as the NOC said.
 */
health: RowHealth, };

/**
 * An appliance chosen for a plan.
 */
export type Chosen = {
/**
 * The appliance.
 */
uid: string,
/**
 * Its label code, when one was typed.
 */
claim: string | null, };

/**
 * How far the running or last discovery is.
 */
export type DiscoveryView = {
/**
 * True while rounds are running.
 */
running: boolean,
/**
 * Rounds begun.
 */
round: number,
/**
 * Appliances heard in this discovery.
 */
found: number,
/**
 * Estimated number still unheard.
 */
unheard: number,
/**
 * Seconds since its start.
 */
seconds: number,
/**
 * Seconds from its start until the last one was heard for the first time.
 */
last_found: number,
/**
 * Pings of this discovery; each leaves by multicast and broadcast on every interface.
 */
pings: number,
/**
 * The receive buffer of the sockets in bytes, as the system gave it.
 */
receive_buffer: number,
/**
 * Interfaces it went out on, and why others did not, as `eth0` or `eth1: Permission denied`.
 */
interfaces: Array<string>,
/**
 * A problem that ended it, if any.
 */
problem: ProblemView | null, };

/**
 * A disk of an appliance.
 */
export type DiskView = {
/**
 * Where it is mounted.
 */
mount: string,
/**
 * Space in use, percent.
 */
percent: number, };

/**
 * Whether nobody is to be disturbed.
 */
export type DoNotDisturb = { "kind": "off" } | { "kind": "until",
/**
 * When it ends.
 */
at: number, } | { "kind": "on" };

/**
 * A row as the administrator edited it; what `check` and `configure` take.
 */
export type EditedRow = {
/**
 * The appliance.
 */
uid: string,
/**
 * What it shall have.
 */
settings: Settings, };

/**
 * What the engine pushes. A subscriber first gets a replay: one event of each kind with everything in it.
 */
export type Event = { "kind": "appliances",
/**
 * True in a replay: these are all.
 */
reset: boolean,
/**
 * The rows.
 */
rows: Array<ApplianceRow>, } | { "kind": "discovery",
/**
 * Its state.
 */
discovery: DiscoveryView, } | { "kind": "job",
/**
 * False: `job.items` holds only those that changed.
 */
whole: boolean,
/**
 * The job.
 */
job: JobView, } | { "kind": "alerts",
/**
 * True in a replay: these are all.
 */
reset: boolean,
/**
 * The alerts.
 */
alerts: Array<AlertView>, } | { "kind": "messages",
/**
 * The messages.
 */
messages: Array<MessageRow>, } | { "kind": "navigate",
/**
 * The appliance; absent: the alerts.
 */
uid: string | null, } | { "kind": "applets",
/**
 * Counts the changes.
 */
generation: number,
/**
 * Why the NOC's last word about them was not taken.
 */
problem: ProblemView | null, } | { "kind": "noc",
/**
 * How it stands.
 */
noc: NocLink,
/**
 * The sites this console may configure.
 */
sites: Array<SiteView>, };

/**
 * What an appliance says about itself; an older agent says less.
 */
export type HostView = {
/**
 * Version of the agent.
 */
agent: string,
/**
 * Its resident memory, MiB.
 */
agent_mib: number | null,
/**
 * Writable local disks, the fullest first.
 */
disks: Array<DiskView>,
/**
 * The hottest sensor, degrees Celsius.
 */
temperature_c: number | null,
/**
 * Packets that the interface received or sent wrongly, or not at all.
 */
interface_errors: number | null,
/**
 * How far its clock is ahead of the NOC's, seconds.
 */
clock_offset_s: number | null, };

/**
 * What became of a manifest import.
 */
export type ImportReport = {
/**
 * Appliances that are new.
 */
added: number,
/**
 * Appliances that were there and are the same.
 */
unchanged: number,
/**
 * What is wrong, by line; nothing is imported when there is any.
 */
errors: Array<LineError>, };

/**
 * One appliance of a job.
 */
export type JobItemView = {
/**
 * The appliance.
 */
uid: string,
/**
 * Its MAC.
 */
mac: string,
/**
 * What it shall have.
 */
settings: Settings,
/**
 * How far it is.
 */
step: JobStep,
/**
 * Percent, for `installing`.
 */
percent: number,
/**
 * Config packets sent so far.
 */
attempts: number,
/**
 * Why it failed, if it did.
 */
problem: ProblemView | null, };

/**
 * How far one appliance of a job is.
 */
export type JobStep = "waiting" | "sending" | "installing" | "kick_starting" | "confirming" | "configured" | "failed" | "cancelled";

/**
 * A configuration job: the durable list of appliances that shall get settings.
 */
export type JobView = {
/**
 * Job number.
 */
id: number,
/**
 * The site.
 */
site: number,
/**
 * When it was started.
 */
started: number,
/**
 * When the last appliance was done.
 */
finished: number | null,
/**
 * True once the administrator cancelled it; appliances in the middle are finished first.
 */
cancelled: boolean,
/**
 * One entry an appliance.
 */
items: Array<JobItemView>, };

/**
 * One line of a file that is wrong.
 */
export type LineError = {
/**
 * Line number, from 1.
 */
line: number,
/**
 * What is wrong and what to do.
 */
message: string, };

/**
 * What the NOC had this console do: a message of its queue.
 */
export type MessageRow = {
/**
 * Its number at the NOC, as text.
 */
number: string,
/**
 * The seed's name of it, as `sendConfig`; empty for one that this console does not understand.
 */
name: string,
/**
 * The appliance's MAC, or empty.
 */
mac: string,
/**
 * The appliance, if the NOC named it.
 */
uid: string | null,
/**
 * When it came.
 */
received: number,
/**
 * When it ended.
 */
finished: number | null,
/**
 * How it stands.
 */
state: RowMessageState,
/**
 * The job that a configuration became.
 */
job: number | null,
/**
 * How many appliances were found or listed.
 */
found: number | null,
/**
 * Why it failed.
 */
problem: ProblemView | null, };

/**
 * How the console stands with the NOC.
 */
export type NocLink = { "kind": "not_joined" } | { "kind": "connected",
/**
 * Its address.
 */
url: string, } | { "kind": "lost",
/**
 * Its address.
 */
url: string,
/**
 * Since when.
 */
since: number,
/**
 * Why.
 */
problem: ProblemView, };

/**
 * Which alerts are told on this desktop, and when. What is new is told: filters name what is not.
 */
export type NotificationSettings = {
/**
 * Nobody is to be disturbed now.
 */
do_not_disturb: DoNotDisturb,
/**
 * Nor every day at these hours.
 */
quiet_hours: QuietHours | null,
/**
 * Sites whose alerts are not told.
 */
muted_sites: Array<number>,
/**
 * Kinds of alerts that are not told.
 */
muted_kinds: Array<RowAlertKind>,
/**
 * Models whose alerts are not told.
 */
muted_models: Array<string>,
/**
 * With a sound.
 */
sound: boolean, };

/**
 * The settings and what the desktop can do of them.
 */
export type NotificationState = {
/**
 * What is set.
 */
settings: NotificationSettings,
/**
 * What is wrong with the file, if it could not be read.
 */
note: string | null,
/**
 * Until when nobody is disturbed, if that is so now and has an end.
 */
quiet_until: number | null,
/**
 * Whether nobody is disturbed now.
 */
quiet: boolean,
/**
 * Who makes the sound.
 */
sound: SoundWay, };

/**
 * One row of a plan.
 */
export type PlanRowView = {
/**
 * The appliance.
 */
uid: string,
/**
 * Its MAC.
 */
mac: string,
/**
 * Model, or empty.
 */
model: string,
/**
 * Whether it may be configured.
 */
ownership: RowOwnership,
/**
 * Proposed settings (empty cells when `ownership` is not `owned`).
 */
settings: Settings,
/**
 * What it has now.
 */
current: Settings,
/**
 * Which rule gave each value, by column name.
 */
rules: { [key in string]: string },
/**
 * Why it cannot be configured, if so.
 */
problem: ProblemView | null, };

/**
 * What a plan proposes for the chosen appliances.
 */
export type PlanView = {
/**
 * The site.
 */
site: number,
/**
 * When the held addresses are given back.
 */
expires: number,
/**
 * In the order asked.
 */
rows: Array<PlanRowView>, };

/**
 * A knob of the practice fleet.
 */
export type PracticeKnobs = {
/**
 * Milliseconds that an installation takes.
 */
install_ms: number,
/**
 * Percent of installations that fail.
 */
fail_percent: number,
/**
 * Percent of datagrams lost, each way.
 */
loss_percent: number,
/**
 * UIDs of the appliances that are silenced: they answer and beat no more.
 */
silent: Array<string>, };

/**
 * Something that went wrong, for a person and for a program.
 */
export type ProblemView = {
/**
 * A stable word, as `invite_expired`.
 */
code: string,
/**
 * What happened.
 */
message: string,
/**
 * What to do; never empty.
 */
remedy: string, };

/**
 * Hours of local time in which nobody is to be disturbed.
 */
export type QuietHours = {
/**
 * Minutes since midnight when they begin.
 */
from: number,
/**
 * And when they end: of the next day, if that is earlier.
 */
to: number,
/**
 * Days on which they begin, 0 for Monday.
 */
days: Array<number>, };

/**
 * [`AlertKind`] for TypeScript.
 */
export type RowAlertKind = "silent" | "never_reported" | "site" | "unstable" | "failing";

/**
 * [`Health`] for TypeScript.
 */
export type RowHealth = "not_expected" | "never_reported" | "well" | "late" | "silent" | "recovering" | "failing" | "unreachable" | "maintenance";

/**
 * [`MessageState`] for TypeScript.
 */
export type RowMessageState = "taken" | "done" | "failed";

/**
 * [`Ownership`] for TypeScript.
 */
export type RowOwnership = "owned" | "unclaimed" | "other_site" | "no_voucher";

/**
 * How an appliance stands with configuration, as the grid shows it.
 */
export type RowState = "unconfigured" | "unclaimed" | "no_voucher" | "configuring" | "provisional" | "configured" | "failed" | "not_heard";

/**
 * Settings as editable text; the shape of [`RawSettings`] for TypeScript.
 */
export type Settings = {
/**
 * Host name, one label.
 */
host_name: string,
/**
 * Domain.
 */
domain: string,
/**
 * IPv4 address.
 */
address: string,
/**
 * Netmask, dotted.
 */
netmask: string,
/**
 * Default gateway, or empty.
 */
gateway: string,
/**
 * Primary name server, or empty.
 */
dns1: string,
/**
 * Secondary name server, or empty.
 */
dns2: string,
/**
 * IPv6 address with the length of its prefix, `2001:db8::10/64`, or empty.
 */
address6: string,
/**
 * IPv6 default gateway, or empty.
 */
gateway6: string,
/**
 * Time servers with a space between them, `none` for none; absent for what the policy gives.
 */
ntp?: string,
/**
 * Domains that are searched beside the domain; the same form.
 */
search_domains?: string,
/**
 * Application settings as JSON; absent for what the policy gives.
 */
application?: string, };

/**
 * The one form of *use this computer*: the first site's simple policy. All text, checked by the NOC.
 */
export type SiteSetup = {
/**
 * Name of the site.
 */
name: string,
/**
 * `192.0.2.10-192.0.2.99`.
 */
pool: string,
/**
 * `255.255.255.0`.
 */
netmask: string,
/**
 * Default gateway, or empty.
 */
gateway: string,
/**
 * Domain.
 */
domain: string,
/**
 * Primary name server, or empty.
 */
dns1: string,
/**
 * Secondary name server, or empty.
 */
dns2: string,
/**
 * `2001:db8::/64` or `2001:db8::100-2001:db8::1ff/64`, or empty.
 */
pool6: string,
/**
 * IPv6 default gateway, or empty.
 */
gateway6: string,
/**
 * Host-name template, as `{model}-{n:03}`.
 */
host_name: string,
/**
 * Where appliances reach this computer, `address:port`.
 */
noc_address: string,
/**
 * Start the practice fleet as well.
 */
practice: boolean, };

/**
 * A site and its policy.
 */
export type SiteView = {
/**
 * Number.
 */
id: number,
/**
 * Name.
 */
name: string,
/**
 * Pool, netmask and the rest of the policy, in words, one line each.
 */
policy: Array<string>, };

/**
 * Who makes a notification's sound.
 */
export type SoundWay = "service" | "player" | "nobody";

/**
 * What the window asks for first.
 */
export type StartView = {
/**
 * Version of the program.
 */
version: string,
/**
 * What it can do.
 */
capabilities: Capabilities,
/**
 * How it stands with the NOC.
 */
noc: NocLink,
/**
 * The knobs of the practice fleet; meaningless unless it runs.
 */
knobs: PracticeKnobs, };
