#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| muster_fuzz_harness::machines::beat_watch::run(data));
