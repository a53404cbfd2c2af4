//! The view models as TypeScript, for `ui/src/bindings.ts`. A test fails when that file differs.

use crate::view;
use ts_rs::{Config, TS};

/// The whole text of `ui/src/bindings.ts`.
pub fn typescript() -> String {
    let config = Config::new();
    let mut types = declarations(&config);
    types.sort();
    let mut text = String::from(
        "// Generated from console/src/view.rs by `cargo run -p muster-console --example bindings`. Do not edit.\n",
    );
    for (_, declaration) in types {
        text.push('\n');
        for line in declaration.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}

fn declaration<T: TS>(config: &Config) -> (String, String) {
    (T::name(config), format!("{}export {}", T::docs().unwrap_or_default(), T::decl(config)))
}

macro_rules! declarations {
    ($($name:ident)*) => {
        fn declarations(config: &Config) -> Vec<(String, String)> {
            vec![$(declaration::<view::$name>(config)),*]
        }
    };
}

declarations! {
    AlertAppliance AlertView AppletPreview AppletTemplate AppletView ApplianceRow ApplicationChecked ApplicationProblem BeatView Capabilities CellError CheckedView Chosen DiscoveryView DiskView
    DoNotDisturb EditedRow Event HostView ImportReport JobItemView JobStep JobView LineError MessageRow NocLink NotificationSettings NotificationState
    PlanRowView PlanView PracticeKnobs ProblemView     QuietHours RowAlertKind RowHealth RowMessageState RowOwnership RowState Settings SiteSetup SiteView SoundWay StartView
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bindings_of_the_ui_are_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../ui/src/bindings.ts");
        let committed = std::fs::read_to_string(path).expect("ui/src/bindings.ts is there");
        let message = "ui/src/bindings.ts is old: run `cargo run -p muster-console --example bindings`";
        assert!(committed == typescript(), "{message}");
    }

    #[test]
    fn every_number_is_a_javascript_number() {
        assert!(!typescript().contains("bigint"), "a 64-bit number would lose digits");
    }
}
