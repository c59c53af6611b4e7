//! Tests of ids out of answers.

use profile::answer::AnswerSpec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::response::{Fed, Parser};

fn path(text: &str) -> JsonPath {
    AnswerSpec { json: text.into() }.path().unwrap()
}

fn found(text: &str, at: &str) -> Option<String> {
    id(text.as_bytes(), &path(at)).map(|id| id.to_string())
}

#[test]
fn an_id_is_found_at_its_place_and_nowhere_else() {
    let uuid = "018f3c1e-0000-7000-8000-000000000001";
    let quoted = format!("\"{}\"", uuid.to_uppercase());
    for (text, at, wanted) in [
        (r#"{"entryId":17,"balance":5}"#, "entryId", Some("17")),
        (r#"{"entryId":17,"balance":5}"#, "$.entryId", Some("17")),
        (r#"{"entryId":"17"}"#, "entryId", Some("17")),
        (r#"{"entryId":18446744073709551615}"#, "entryId", Some("18446744073709551615")),
        ("{\"entry\\u0049d\" : 1 }\n", "entryId", Some("1")),
        (r#"{"a":{"entryId":3},"data":{"items":[{"id":1},{"id":2}]}}"#, "$.data.items[1].id", Some("2")),
        ("[[1,2],[3]]", "$[1][0]", Some("3")),
        (" 42 ", "$", Some("42")),
        (quoted.as_str(), "$", Some(uuid)),
        // Nothing is there, or no id.
        (r#"{"entryId":17}"#, "entry", None),
        (r#"{"a":{"entryId":17}}"#, "entryId", None),
        (r#"{"entryId":{"entryId":17}}"#, "entryId", None),
        (r#"{"entryId":[17]}"#, "entryId", None),
        (r#"{"items":[1]}"#, "items[1]", None),
        (r#"{"items":{"0":1}}"#, "items[0]", None),
        (r#"{"entryId":17}"#, "entryId.id", None),
        ("[1]", "entryId", None),
        ("{}", "$", None),
        (r#"{"entryId":null}"#, "entryId", None),
        (r#"{"entryId":true}"#, "entryId", None),
        (r#"{"entryId":-1}"#, "entryId", None),
        (r#"{"entryId":1.0}"#, "entryId", None),
        (r#"{"entryId":1e3}"#, "entryId", None),
        (r#"{"entryId":18446744073709551616}"#, "entryId", None),
        (r#"{"entryId":""}"#, "entryId", None),
        (r#"{"entryId":"007"}"#, "entryId", None),
        (r#"{"entryId":" 7"}"#, "entryId", None),
        (r#"{"entryId":"ORD-7"}"#, "entryId", None),
        (r#"{"entryId":"018f3c1e00007000800000000000000001"}"#, "entryId", None),
        // Which of the two?
        (r#"{"entryId":17,"entryId":17}"#, "entryId", None),
        (r#"{"entryId":17,"entryId":null}"#, "entryId", None),
        // No JSON, or not to its end.
        ("", "$", None),
        ("OK", "$", None),
        (r#"{"entryId":17"#, "entryId", None),
        (r#"{"entryId":17,}"#, "entryId", None),
        (r#"{"entryId":17} x"#, "entryId", None),
        (r#"{"entryId":17}{"entryId":17}"#, "entryId", None),
        ("\u{feff}{\"entryId\":17}", "entryId", None),
        ("<html>entryId=17</html>", "entryId", None),
    ] {
        assert_eq!(found(text, at).as_deref(), wanted, "{at} in {text}");
    }
    assert_eq!(id(b"{\"entryId\":17,\"\xff\":1}", &path("entryId")), None, "names are UTF-8");
}

/// As deep as bytes can make it, on the path and beside it: the stack of a thread is no part of what a server may use up.
#[test]
fn deep_nesting_takes_no_stack() {
    let check = || {
        for open in ["[", "{\"a\":", "[{\"a\":"] {
            let deep = open.repeat(MOST / open.len());
            for (text, at) in [
                (deep.clone(), "a"),
                (deep.clone(), "$[0]"),
                (deep.clone(), "a.a.a.a.a.a.a.a"),
                (deep.clone(), "$"),
                (format!("{{\"entryId\":17,\"x\":{deep}"), "entryId"),
            ] {
                assert_eq!(found(&text, at), None);
            }
        }
        let (half, before) = (MOST / 2 - 20, "{\"x\":");
        let whole = format!("{before}{}{},\"entryId\":17}}", "[".repeat(half), "]".repeat(half));
        assert_eq!(
            found(&whole, "entryId").as_deref(),
            Some("17"),
            "what lies beside the path may be as deep as it is"
        );
    };
    std::thread::Builder::new().stack_size(128 << 10).spawn(check).unwrap().join().unwrap();
}

#[test]
fn a_body_beyond_the_limit_is_not_kept() {
    let mut body = Body::next(true);
    body.take(&vec![b' '; MOST - 1]);
    body.take(b"7");
    assert_eq!(body.id(&path("$")), Some(Id::Number(7)), "just as long as allowed");
    body.take(b" ");
    assert_eq!(body, Body::TooLong);
    body.take(b"8");
    assert_eq!(body.id(&path("$")), None);
    let mut unwanted = Body::next(false);
    unwanted.take(b"7");
    assert_eq!(unwanted, Body::Unwanted);
}

/// The body that a parser gives out of an answer in these pieces; none where the answer is not whole.
fn read(pieces: &[&[u8]]) -> Option<Body> {
    let (mut parser, mut body) = (Parser::default(), Body::next(true));
    for piece in pieces {
        match parser.feed_into(piece, |part| body.take(part)).ok()? {
            Fed::More => {}
            Fed::Done { .. } => return Some(body),
        }
    }
    parser.end().map(|_| body)
}

/// `body` as an answer: of a length, in chunks of these sizes, or until the connection's end.
fn answer(body: &[u8], framing: u8, sizes: &[usize]) -> Vec<u8> {
    let head = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: application/json\r\n".to_vec();
    let tail = match framing {
        0 => [format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat(),
        1 => {
            let (mut text, mut rest) = (b"Transfer-Encoding: chunked\r\n\r\n".to_vec(), body);
            for size in sizes.iter().copied().cycle().take(rest.len()) {
                let (part, more) = rest.split_at(size.min(rest.len()));
                if !part.is_empty() {
                    text.extend(format!("{:x};x=\"y\"\r\n", part.len()).bytes().chain(part.iter().copied()));
                    text.extend(b"\r\n");
                }
                rest = more;
            }
            text.extend(b"0\r\nX-Trailer: {\"entryId\":1}\r\n\r\n");
            text
        }
        _ => [b"\r\n", body].concat(),
    };
    [head, tail].concat()
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        any::<u128>().prop_map(|bits| uuid::Uuid::from_u128(bits).to_string().into()),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from);
        list.boxed().prop_union(prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|map| json!(map)).boxed())
    })
}

/// The same as [`id`], by way of the whole tree.
fn by_tree(tree: &Value, path: &JsonPath) -> Option<Id> {
    let step = |value: &Value, step: &Step| match step {
        Step::Name(name) => value.as_object()?.get(&**name).cloned(),
        Step::Place(place) => value.as_array()?.get(*place).cloned(),
    };
    let value = path.steps().iter().try_fold(tree.clone(), |value, at| step(&value, at))?;
    match value {
        Value::Number(number) => number.as_u64().map(Id::Number),
        Value::String(text) => text.parse().ok().filter(|id: &Id| id.to_string() == text.to_lowercase()),
        _ => None,
    }
}

proptest! {
    /// Cut at every byte, an answer gives the same id, however its body is framed.
    #[test]
    fn pieces_make_no_difference(
        entry: u64, note in ".{0,20}", framing in 0..3_u8, sizes in prop::collection::vec(1_usize..9, 1..5),
    ) {
        let body = json!({"a": [note, {"entryId": 1}], "entryId": entry}).to_string();
        let bytes = answer(body.as_bytes(), framing, &sizes);
        let kept = Body::Kept(body.into_bytes());
        for cut in 0..=bytes.len() {
            let (first, second) = bytes.split_at(cut);
            prop_assert!(read(&[first, second]).as_ref() == Some(&kept), "cut at {}", cut);
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert!(read(&single).as_ref() == Some(&kept));
        prop_assert_eq!(kept.id(&path("entryId")), Some(Id::Number(entry)));
    }

    /// Bodies up to the limit are kept and longer ones are not, whatever pieces they come in.
    #[test]
    fn the_limit_is_one_of_the_body_alone(over in -3_i64..4, framing in 0..3_u8, piece in 1_usize..40_000) {
        let length = (MOST as i64 + over) as usize;
        let body = [b"7".to_vec(), vec![b' '; length - 1]].concat();
        let bytes = answer(&body, framing, &[piece]);
        let pieces: Vec<&[u8]> = bytes.chunks(piece).collect();
        let wanted = (over <= 0).then_some(Id::Number(7));
        let read = read(&pieces).unwrap();
        prop_assert_eq!((read.id(&path("$")), read == Body::TooLong), (wanted, over > 0));
    }

    /// What is found by passing over is what the whole tree has there.
    #[test]
    fn the_path_leads_where_the_tree_has_it(tree in any_json(), at in "\\$(\\.[a-c]|\\[[0-3]\\]){0,4}") {
        let path = path(&at);
        prop_assert_eq!(id(tree.to_string().as_bytes(), &path), by_tree(&tree, &path));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), at in "\\$(\\.[a-c]|\\[[0-3]\\]){0,4}") {
        let _ = id(&bytes, &path(&at));
    }

    #[test]
    fn damaged_json_does_not_panic(tree in any_json(), hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = json!({"a": tree}).to_string().into_bytes();
        for (at, value) in hits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = id(&bytes, &path("$.a"));
    }
}
