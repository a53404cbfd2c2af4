use super::*;
use proptest::prelude::*;
use serde_json::Value;

fn code(text: &str) -> &'static str {
    ApplicationSettings::parse(text).expect_err(text).code()
}

#[test]
fn equal_settings_are_equal_bytes() {
    let canonical = |text: &str| ApplicationSettings::parse(text).expect(text).as_str().to_owned();
    for (written, kept) in [
        (" {\n} ", "{}"),
        (r#"{"b":1,"a":{"z":[ 1 , 2.50, -0e+7 ],"y":null}}"#, r#"{"a":{"y":null,"z":[1,2.50,-0e+7]},"b":1}"#),
        (r#"{"A\u00e9\ud83d\ude00":"\/\n\t\"\\","a":true,"Z":false}"#, r#"{"Aé😀":"/\n\t\"\\","Z":false,"a":true}"#),
        (r#"{"":[],"x":18446744073709551616}"#, r#"{"":[],"x":18446744073709551616}"#),
    ] {
        assert_eq!(canonical(written), kept);
        assert_eq!(canonical(kept), kept, "what is canonical stays as it is");
        assert!(ApplicationSettings::from_canonical(kept).is_some());
        assert!(written == kept || ApplicationSettings::from_canonical(written).is_none(), "{written}");
    }
}

#[test]
fn what_is_no_json_object_is_refused_with_the_place() {
    for (text, wrong) in [
        ("", "application_not_json"),
        ("{", "application_not_json"),
        ("{\"a\"}", "application_not_json"),
        ("{\"a\":}", "application_not_json"),
        ("{\"a\":1,}", "application_not_json"),
        ("{,\"a\":1}", "application_not_json"),
        ("{a:1}", "application_not_json"),
        ("{'a':1}", "application_not_json"),
        ("{\"a\":01}", "application_not_json"),
        ("{\"a\":1.}", "application_not_json"),
        ("{\"a\":.5}", "application_not_json"),
        ("{\"a\":1e}", "application_not_json"),
        ("{\"a\":NaN}", "application_not_json"),
        ("{\"a\":\"\\x\"}", "application_not_json"),
        ("{\"a\":\"\\u12\"}", "application_not_json"),
        ("{\"a\":\"\\ud800\"}", "application_not_json"),
        ("{\"a\":\"\\ud800\\u0041\"}", "application_not_json"),
        ("{\"a\":\"\\udc00\"}", "application_not_json"),
        ("{\"a\":[1,]}", "application_not_json"),
        ("{\"a\":[1 2]}", "application_not_json"),
        ("{} {}", "application_not_json"),
        ("{}x", "application_not_json"),
        ("{\"a\":\"", "application_not_json"),
        ("[]", "application_not_object"),
        ("\"a\"", "application_not_object"),
        ("null", "application_not_object"),
        ("{\"a\":1,\"\\u0061\":2}", "application_duplicate_name"),
        ("{\"a\":\"\u{202e}\"}", "application_control_character"),
        ("{\"a\":\"\\u0000\"}", "application_control_character"),
        ("{\"a\":\"\\u001b[2J\"}", "application_control_character"),
        ("{\"a\":\"\n\"}", "application_control_character"),
        ("{\"\\u200b\":1}", "application_control_character"),
    ] {
        assert_eq!(code(text), wrong, "{text}");
    }
    let error = ApplicationSettings::parse("{\"a\": tru}").expect_err("no JSON");
    assert!(error.to_string().contains("at character 7"), "{error}");
    let number = format!("{{\"a\":{}}}", "1".repeat(MAX_NUMBER + 1));
    assert_eq!(code(&number), "application_not_json");
}

#[test]
fn depth_and_length_are_bounded() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert!(ApplicationSettings::parse(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(code(&nested(MAX_DEPTH + 1)), "application_too_deep");
    assert_eq!(code(&nested(7_000)), "application_too_deep");
    let long = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
    assert_eq!(ApplicationSettings::parse(&long(MAX_APPLICATION)).expect("fits").as_str().len(), MAX_APPLICATION);
    assert_eq!(code(&long(MAX_APPLICATION + 1)), "application_too_long");
    assert_eq!(code(&long(1 << 20)), "application_too_long");
    let spacious = format!("{{{}}}", " ".repeat(10_000));
    assert!(ApplicationSettings::parse(&spacious).expect("white space is free").is_empty());
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "[ -~\u{e9}\u{4e00}\u{1f600}]{0,12}".prop_map(Value::from),
        "[a-z\n\r\t]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[ -~\u{e9}]{0,6}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn it_means_what_another_reader_of_json_says(members in prop::collection::btree_map("[a-z\"\\\\]{0,6}", value(), 0..5)) {
        let value = Value::Object(members.into_iter().collect());
        let pretty = serde_json::to_string_pretty(&value).expect("JSON");
        match ApplicationSettings::parse(&pretty) {
            Ok(settings) => {
                let read: Value = serde_json::from_str(settings.as_str()).expect("JSON");
                prop_assert_eq!(&read, &value);
                let compact = serde_json::to_string(&value).expect("JSON");
                prop_assert_eq!(ApplicationSettings::parse(&compact).expect("the same"), settings);
            }
            Err(error) => prop_assert_eq!(error.code(), "application_too_long"),
        }
    }

    #[test]
    fn any_text_is_taken_or_refused_and_what_is_taken_is_json(text in "[\\{\\}\\[\\]:,\"\\\\a-u0-9.eE+ -]{0,40}") {
        let taken = ApplicationSettings::parse(&text);
        if let Ok(settings) = &taken {
            prop_assert!(serde_json::from_str::<Value>(settings.as_str()).is_ok_and(|value| value.is_object()));
            prop_assert!(ApplicationSettings::from_canonical(settings.as_str()).is_some());
        }
        let wrapped = format!("{{\"a\":{text}}}");
        if let Ok(settings) = ApplicationSettings::parse(&wrapped) {
            prop_assert!(serde_json::from_str::<Value>(settings.as_str()).is_ok() || wrapped.contains(['e', 'E']));
        }
    }
}
