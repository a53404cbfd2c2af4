//! The last beats of an organisation, checked and scraped by Debian's Prometheus.

use crate::measuring::{Measures, check};
use crate::work::Bench;
use crate::world::beat;
use muster_protocol::api::*;
use serde_json::json;

#[tokio::test]
async fn prometheus_scrapes_the_last_values_of_an_organisation_with_a_token() {
    let bench = Bench::new().await;
    let mut said = beat(1, 2, bench.seq);
    said.values.load = 0.75;
    said.values.counters = [("mails_passed".to_owned(), 1204.0), ("q\"\\".to_owned(), 7.0)].into();
    said.values.host = Some(HostValues { temperature_c: Some(41.5), ..HostValues::default() });
    let _: BeatAnswer = bench.http.post("appliances/beats", &said).await.expect("taken");
    let root = bench.world.administrator().await;
    let path = "/v1/organisations/1/metrics";
    let page = root.get(path).await;
    assert_eq!(page.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let uid = bench.uid();
    let labels = format!("uid=\"{uid}\",host=\"mail-001\",site=\"Bern\",model=\"Mail\"");
    for line in [
        format!("muster_appliance_load1{{{labels}}} 0.75"),
        format!("muster_appliance_temperature_celsius{{{labels}}} 41.5"),
        format!("muster_application_value{{{labels},name=\"mails_passed\"}} 1204"),
        format!("muster_application_value{{{labels},name=\"q\\\"\\\\\"}} 7"),
        "# EOF".to_owned(),
    ] {
        assert!(page.text.lines().any(|found| found == line), "{line} in:\n{}", page.text);
    }
    check(&page.text);

    let token =
        root.post("/v1/tokens", json!({ "name": "prometheus", "scopes": ["appliances:read"], "days": 1 })).await.good();
    let folder = tempfile::tempdir().expect("folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let ca = write("ca.pem", &bench.http.ca_pem);
    let secret = write("token", token["secret"].as_str().expect("a secret"));
    let noc = bench.world.noc.noc_address();
    let prometheus = Measures::prometheus(&format!(
        "scrape_configs:\n- job_name: muster\n  scheme: https\n  scrape_interval: 1s\n  metrics_path: {path}\n  authorization:\n    \
         credentials_file: {secret}\n  tls_config:\n    ca_file: {ca}\n  static_configs:\n  - targets: ['{noc}']\n"
    ));
    let found = prometheus.found("muster_application_value{name=\"mails_passed\"}", 1).await.remove(0);
    assert_eq!((&found["metric"]["uid"], &found["value"][1]), (&json!(uid.to_string()), &json!("1204")), "{found}");
    assert_eq!((&found["metric"]["site"], &found["metric"]["host"]), (&json!("Bern"), &json!("mail-001")));
}
