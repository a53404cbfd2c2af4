//! Temperature sensors.

use std::fs;
use std::path::{Path, PathBuf};

/// The hottest of hwmon's sensors, or else of the thermal zones, below `class` (`/sys/class`). Degrees Celsius.
pub(super) fn hottest(class: &Path) -> Option<f64> {
    let hwmon = folders(&class.join("hwmon")).into_iter().flat_map(|chip| inputs(&chip));
    let zones = || folders(&class.join("thermal")).into_iter().map(|zone| zone.join("temp"));
    hottest_of(hwmon).or_else(|| hottest_of(zones()))
}

/// Most entries of a folder, and most sensors, that are looked at.
const MOST: usize = 64;

fn hottest_of(files: impl Iterator<Item = PathBuf>) -> Option<f64> {
    files.take(MOST).filter_map(|file| degrees(&file)).max_by(f64::total_cmp)
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.take(MOST).map(|entry| entry.path()).collect()
}

fn inputs(chip: &Path) -> Vec<PathBuf> {
    let is_input = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("temp") && name.ends_with("_input")
    };
    let entries = fs::read_dir(chip).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(is_input).take(MOST).collect()
}

/// From thousandths. Sensors that are not connected say what no appliance lives at.
fn degrees(file: &Path) -> Option<f64> {
    let thousandths: i32 = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    let degrees = f64::from(thousandths) / 1000.0;
    (-60.0..=150.0).contains(&degrees).then(|| (degrees * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hottest_sensor_that_can_be_believed_counts() {
        let class = tempfile::tempdir().expect("a folder");
        assert_eq!(hottest(class.path()), None);
        let write = |path: &str, text: &str| {
            let path = class.path().join(path);
            fs::create_dir_all(path.parent().expect("has one")).expect("made");
            fs::write(path, text).expect("written");
        };
        write("thermal/thermal_zone0/temp", "38500\n");
        write("thermal/thermal_zone1/temp", "nonsense\n");
        assert_eq!(hottest(class.path()), Some(38.5));
        write("hwmon/hwmon0/temp1_input", "41260\n");
        write("hwmon/hwmon0/temp1_crit", "99000\n");
        write("hwmon/hwmon1/temp1_input", "-128000\n");
        write("hwmon/hwmon1/temp2_input", "255000\n");
        assert_eq!(hottest(class.path()), Some(41.3), "hwmon is the more exact one");
    }
}
