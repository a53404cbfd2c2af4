//! Other ways to write the same CBOR: everything that the one deterministic form (RFC 8949 §4.2) excludes. Written by hand,
//! so that nothing here shares a mistake with the encoder under test.

/// A byte string.
pub fn bytes(value: &[u8]) -> Vec<u8> {
    [&head(2, value.len())[..], value].concat()
}

/// A map with small integer keys, in the order given.
pub fn map(entries: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let pairs = entries.iter().flat_map(|(key, value)| [&[*key][..], value].concat());
    head(5, entries.len()).into_iter().chain(pairs).collect()
}

/// `item`, a map with small integer keys or an array, in every form that means the same and is not the deterministic one, or
/// that means more; each with its name. All but the first byte of an entry's value is left as it is.
pub fn others(item: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![
        ("a trailing zero", [item, &[0]].concat()),
        ("a trailing null", [item, &[0xf6]].concat()),
        ("a second copy behind it", [item, item].concat()),
        ("a tag before it", [&[0xd9, 0xd9, 0xf7], item].concat()),
        ("a leading null", [&[0xf6], item].concat()),
        ("nothing", Vec::new()),
    ];
    let (first, rest) = (item[0], &item[1..]);
    assert!(matches!(first, 0x80..=0x97 | 0xa0..=0xb7), "a short map or array");
    let (open, long, count) = (first & 0xe0 | 0x1f, first & 0xe0 | 0x18, first & 0x1f);
    forms.push(("an indefinite length", [&[open], rest, &[0xff]].concat()));
    forms.push(("a length of two bytes", [&[long, count], rest].concat()));
    forms.push(("a length of nine bytes", [&[long + 3, 0, 0, 0, 0, 0, 0, 0, count], rest].concat()));
    forms.push(("one item more than there is", [&[first + 1], rest].concat()));
    forms.push(("one item less than there is", [&[first - 1], rest].concat()));
    if first >= 0xa0 {
        forms.extend(other_maps(&entries(rest)));
    } else {
        forms.push(("a COSE tag", [&[0xd2], item].concat()));
    }
    forms
}

/// Every form of [`others`] of a datagram's body, and other headers.
pub fn other_datagrams(datagram: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let (header, body) = datagram.split_at(6);
    let mut forms: Vec<_> = others(body).into_iter().map(|(name, body)| (name, [header, &body[..]].concat())).collect();
    let edited = |at: usize, value: u8| {
        let mut edited = datagram.to_vec();
        edited[at] = value;
        edited
    };
    forms.push(("another magic", edited(3, b't')));
    forms.extend([0, 2, 255].map(|version| ("another version", edited(4, version))));
    forms.extend([0, 6, 255].map(|kind| ("an unknown kind", edited(5, kind))));
    forms
}

fn other_maps(entries: &[(u8, &[u8])]) -> Vec<(&'static str, Vec<u8>)> {
    let owned = || entries.iter().map(|(key, value)| (*key, value.to_vec())).collect::<Vec<_>>();
    let (key, value) = entries[0];
    let all = || entries[1..].iter().flat_map(|(key, value)| [&[*key], *value].concat());
    let with_first = |first: Vec<u8>| head(5, entries.len()).into_iter().chain(first).chain(all()).collect::<Vec<u8>>();
    let mut forms = vec![
        ("a key of two bytes", with_first([&[0x18, key], value].concat())),
        ("a negative key", with_first([&[0x20], value].concat())),
        ("a text key", with_first([&[0x61, b'0' + key], value].concat())),
    ];
    let mut twice = owned();
    twice.insert(1, (key, value.to_vec()));
    forms.push(("a duplicate key", map(&twice)));
    twice.rotate_left(1);
    forms.push(("a duplicate key at the end", map(&twice)));
    let mut unknown = owned();
    unknown.push((23, vec![0]));
    forms.push(("an unknown key", map(&unknown)));
    let mut absent = owned();
    let free = (0..).find(|key| entries.iter().all(|(taken, _)| taken != key)).unwrap_or(22);
    absent.push((free, vec![0xf6]));
    absent.sort_by_key(|(key, _)| *key);
    forms.push(("a null for what is absent", map(&absent)));
    if entries.len() > 1 {
        let mut reversed = owned();
        reversed.reverse();
        forms.push(("keys in another order", map(&reversed)));
    }
    for (at, (_, value)) in entries.iter().enumerate() {
        let mut edit = |name, value: Vec<u8>| {
            let mut edited = owned();
            edited[at].1 = value;
            forms.push((name, map(&edited)));
        };
        match value {
            [0x58, length, content @ ..] => {
                edit("a string's length in two bytes", [&[0x59, 0, *length], content].concat());
                edit("a string in pieces", [&[0x5f], *value, &[0xff]].concat());
            }
            [length @ 0x40..=0x57, content @ ..] => {
                edit("a string's length in one byte", [&[0x58, length & 0x1f], content].concat());
            }
            [0x59, ..] => edit("a string in pieces", [&[0x5f], *value, &[0xff]].concat()),
            [number @ 0..=0x17] => edit("a number in one byte more", vec![0x18, *number]),
            _ => {}
        }
    }
    forms
}

/// The entries of a map's content whose keys are small integers.
fn entries(mut rest: &[u8]) -> Vec<(u8, &[u8])> {
    let mut entries = Vec::new();
    while let Some((key, tail)) = rest.split_first() {
        let (value, tail) = tail.split_at(item_length(tail));
        entries.push((*key, value));
        rest = tail;
    }
    entries
}

/// How long the item at the front is; definite lengths only.
fn item_length(bytes: &[u8]) -> usize {
    let (major, argument, head) = match bytes[0] & 0x1f {
        small @ 0..=0x17 => (bytes[0] >> 5, usize::from(small), 1),
        more => {
            let width = 1_usize << (more - 0x18);
            let argument = bytes[1..=width].iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
            (bytes[0] >> 5, argument, 1 + width)
        }
    };
    let nested = |count: usize| (0..count).fold(head, |at, _| at + item_length(&bytes[at..]));
    match major {
        2 | 3 => head + argument,
        4 => nested(argument),
        5 => nested(argument * 2),
        6 => nested(1),
        _ => head,
    }
}

fn head(major: u8, length: usize) -> Vec<u8> {
    let major = major << 5;
    match u16::try_from(length) {
        Ok(length @ 0..=0x17) => vec![major | length as u8],
        Ok(length @ 0x18..=0xff) => vec![major | 0x18, length as u8],
        Ok(length) => [&[major | 0x19], &length.to_be_bytes()[..]].concat(),
        Err(_) => panic!("longer than any datagram"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_form_differs_from_the_item_and_from_each_other() {
        let item = map(&[(0, bytes(&[7; 30])), (1, vec![5]), (2, bytes(b"x"))]);
        let forms = others(&item);
        assert!(forms.len() > 20, "{}", forms.len());
        for (n, (name, form)) in forms.iter().enumerate() {
            assert_ne!(*form, item, "{name}");
            assert!(forms[..n].iter().all(|(_, other)| other != form), "{name} is there already");
        }
    }
}
