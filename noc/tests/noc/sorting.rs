//! Lists of appliances in another order: whole, page by page, also while something changes.

use crate::api::Api;
use crate::world::{Device, World};
use serde_json::Value;

/// All of a list, page by page; `between` is called after each page.
async fn walk(api: &Api, query: &str, mut between: impl FnMut(usize)) -> Vec<Value> {
    let (mut rows, mut after, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = api.get(&format!("/v1/appliances?limit=7&{query}{after}")).await.good();
        rows.extend(page["items"].as_array().expect("rows").clone());
        let Some(next) = page["next"].as_str() else { return rows };
        after = format!("&after={next}");
        pages += 1;
        between(pages);
    }
}

fn serials(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["serial"].as_str().expect("a serial number")).collect()
}

#[tokio::test]
async fn every_order_is_whole_in_pages_both_ways_and_stays_so_while_rows_come_and_change() {
    let world = World::new().await;
    let root = world.administrator().await;
    let site = world.site("Bern", "192.0.2.1-192.0.2.99");
    let devices = Device::several(0..40);
    world.import(&devices);
    let console = world.console(&[site.id]).await;
    console.configure(site.id, &devices[..20]).await;
    let words = ["silent", "well", "late"];
    for (n, device) in devices.iter().enumerate() {
        let model = ["router", "Mail", "mail"][n % 3];
        let sql = "UPDATE appliances SET model = ?2 WHERE uid = ?1";
        world.database().execute(sql, (device.uid.0, model)).expect("changed");
        // The status daemon says of those that are not configured that nothing is expected of them.
        let sql = "UPDATE appliances SET health = ?2 WHERE uid = ?1 AND applied > 0";
        world.database().execute(sql, (device.uid.0, words[n % 3])).expect("changed");
    }
    for key in ["name", "address", "mac", "model", "serial", "health", "provisioning"] {
        let up = walk(&root, &format!("sort={key}"), |_| ()).await;
        let mut down = walk(&root, &format!("sort=-{key}"), |_| ()).await;
        down.reverse();
        assert_eq!(serials(&up), serials(&down), "{key}");
        let mut each = serials(&up);
        each.sort_unstable();
        each.dedup();
        assert_eq!(each.len(), 40, "{key}: each once");
    }
    let by_address = walk(&root, "sort=address", |_| ()).await;
    let addresses: Vec<u8> = by_address
        .iter()
        .filter_map(|row| row["settings"]["address"].as_str()?.rsplit('.').next()?.parse().ok())
        .collect();
    assert_eq!(addresses.len(), 20);
    assert!(addresses.is_sorted() && addresses.contains(&9) && addresses.contains(&10), "as numbers: {addresses:?}");
    let by_health = walk(&root, "sort=health", |_| ()).await;
    let ranks: Vec<usize> = by_health
        .iter()
        .map(|row| {
            ["silent", "late", "well", "not_expected"].iter().position(|word| row["health"] == *word).expect("a word")
        })
        .collect();
    assert!(ranks.is_sorted(), "{ranks:?}");
    let by_model = walk(&root, "sort=model", |_| ()).await;
    assert_eq!((&by_model[0]["model"], &by_model[39]["model"]), (&"Mail".into(), &"router".into()), "in whatever case");
    let some = walk(&root, "sort=-name&health=silent&text=sn1", |_| ()).await;
    assert!(some.len() > 1 && some.iter().all(|row| row["health"] == "silent"), "filters hold: {some:?}");

    // What comes, goes or moves behind and before where the reader is changes nothing of the rest.
    let still = walk(&root, "sort=serial", |page| {
        let sql = "UPDATE appliances SET serial = ?2 WHERE serial = ?1";
        if page == 1 {
            world.database().execute(sql, ("SN0", "zzz")).expect("moved behind");
            world.database().execute(sql, ("SN9", "0")).expect("moved before");
            world.database().execute("DELETE FROM appliances WHERE serial = 'SN21'", []).expect("gone");
        }
    })
    .await;
    let seen = serials(&still);
    let others = seen.iter().filter(|serial| !["SN0", "zzz", "SN9", "0", "SN21"].contains(serial)).count();
    assert_eq!(others, 37, "{seen:?}");
    assert!(seen.is_sorted_by_key(|serial| serial.to_lowercase()), "{seen:?}");

    let next = root.get("/v1/appliances?limit=7&sort=name").await.good()["next"].as_str().expect("more").to_owned();
    for query in [format!("sort=mac&after={next}"), format!("after={next}"), "sort=colour".to_owned()] {
        assert_eq!(root.get(&format!("/v1/appliances?{query}")).await.code(), "malformed", "{query}");
    }
}
