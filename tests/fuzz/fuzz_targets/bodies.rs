#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| muster_fuzz_harness::parsers::bodies::run(data));
