//! Forms that no browser sends, and forms that break off: they are refused, and no object comes of them.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Client, parse};
use crate::upload::{Upload, part, said, upload};
use crate::world::World;

#[tokio::test]
async fn hostile_forms_are_refused_and_nothing_comes_of_them() {
    let world = World::start().await;
    let form = upload(&world.a, "k");
    let text = String::from_utf8(form.body()).unwrap();
    let file_again = "\r\n------B7\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nmore";
    let field_behind = "\r\n------B7\r\nContent-Disposition: form-data; name=\"submit\"\r\n\r\ngo";
    let malformed = (400, "MalformedPOSTRequest");
    let too_large = (400, "MaxPostPreDataLengthExceededError");
    let files = (400, "IncorrectNumberOfFilesInPostRequest");
    for (what, body, expected) in [
        (
            "preamble",
            part(form.boundary, "a", &"v".repeat(20_500)) + &text,
            too_large,
        ),
        (
            "parts",
            (0..101)
                .map(|i| part(form.boundary, &format!("f{i}"), ""))
                .collect::<String>()
                + &text,
            too_large,
        ),
        (
            "head",
            format!("------B7\r\nContent-Disposition: {}", "x".repeat(100_000)),
            too_large,
        ),
        (
            "no file",
            text.replace("name=\"file\"", "name=\"fill\""),
            files,
        ),
        (
            "two files",
            text.replace("hello", &format!("hello{file_again}")),
            files,
        ),
        (
            "a field behind",
            text.replace("hello", &format!("hello{field_behind}")),
            malformed,
        ),
        (
            "a head behind",
            text.replace("hello", "hello\r\n------B7\r\nX: "),
            malformed,
        ),
        ("no delimiter", "hello".into(), malformed),
        ("nothing", String::new(), malformed),
        (
            "another delimiter",
            text.replace("------B7", "------B8"),
            malformed,
        ),
        (
            "a longer delimiter",
            text.replacen("------B7\r\n", "------B77\r\n", 1),
            malformed,
        ),
        ("no end", text.replace("\r\n------B7--\r\n", ""), malformed),
        (
            "half an end",
            text.replace("------B7--\r\n", "------B7"),
            malformed,
        ),
        (
            "no last line end",
            text.strip_suffix("\r\n").unwrap().into(),
            malformed,
        ),
        ("an epilogue", format!("{text}more"), malformed),
        (
            "no disposition",
            text.replacen("Content-Disposition", "X", 1),
            malformed,
        ),
        ("no name", text.replacen("; name=\"key\"", "", 1), malformed),
        ("bare line feeds", text.replace("\r\n", "\n"), malformed),
        (
            "one field twice",
            part(form.boundary, "KEY", "other") + &text,
            (400, "InvalidArgument"),
        ),
    ] {
        let answer = form.send_body(body.as_bytes()).await;
        assert_eq!(said(&answer), expected, "{what}: {}", answer.body);
        world.assert_engine_saw_nothing(what);
    }
    let mut not_text = form.body();
    not_text[80] = 0xff;
    assert_eq!(said(&form.send_body(&not_text).await), malformed);
    for (boundary, expected) in [("b".repeat(71), malformed), ("b".repeat(70), (204, ""))] {
        let mut form = form.clone();
        form.boundary = &boundary;
        assert_eq!(said(&form.send().await), expected);
    }
    assert_eq!(said(&form.send().await), (204, ""));
}

#[tokio::test]
async fn lengths_are_asked_for() {
    let world = World::start().await;
    let form = upload(&world.a, "k");
    let body = form.body();
    let head = form.head(body.len());
    let length = format!("content-length: {}\r\n", body.len());
    for (instead, expected) in [
        (String::new(), (411, "MissingContentLength")),
        (
            "transfer-encoding: chunked\r\n".into(),
            (400, "InvalidRequest"),
        ),
        // The end is cut off, or behind it another request begins.
        (
            format!("content-length: {}\r\n", body.len() - 2),
            (400, "MalformedPOSTRequest"),
        ),
        (
            "content-length: 1\r\n".into(),
            (400, "MalformedPOSTRequest"),
        ),
        (length.clone(), (204, "")),
    ] {
        let head = head.replace(&length, &instead);
        let answer = parse(&world.a.raw(&[head.as_bytes(), &body].concat()).await);
        assert_eq!(said(&answer), expected, "{instead}");
        assert_eq!(
            world.engine.take_seen().len(),
            usize::from(expected.0 == 204)
        );
    }
}

async fn send_and_close(form: &Upload<'_>, said_length: usize, body: &[u8]) {
    let mut stream = tokio::net::TcpStream::connect(form.client.address)
        .await
        .unwrap();
    stream
        .write_all(form.head(said_length).as_bytes())
        .await
        .unwrap();
    // A refusal may come, and the connection be closed, before all is sent.
    let _ = stream.write_all(body).await;
    let _ = stream.shutdown().await;
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

#[tokio::test]
async fn a_large_file_that_ends_wrong_or_early_is_no_object() {
    let world = World::start().await;
    let form = upload(&world.a, "k").file(&vec![b'x'; 3_000_000]);
    let whole = form.body();
    let start = form.preamble(&form.signed_fields()).len();
    for cut in [
        0,
        10,
        start,
        start + 1,
        start + 70_000,
        whole.len() - 20,
        whole.len() - 1,
    ] {
        send_and_close(&form, whole.len(), &whole[..cut]).await;
    }
    assert!(world.engine.objects().is_empty(), "cut");
    let delimiter = form.end();
    let field = "\r\n------B7\r\nContent-Disposition: form-data; name=\"submit\"\r\n\r\ngo";
    let file = field.replace("submit", "file");
    let malformed = "MalformedPOSTRequest";
    for (tail, code) in [
        (format!("{field}{delimiter}"), malformed),
        (
            format!("{file}{delimiter}"),
            "IncorrectNumberOfFilesInPostRequest",
        ),
        (delimiter.trim_end().to_owned(), malformed),
        (format!("{delimiter}more"), malformed),
        (format!("{delimiter}{}", "x".repeat(100_000)), malformed),
        (delimiter.replace("B7", "B8"), malformed),
        ("".into(), malformed),
    ] {
        let body = [&whole[..whole.len() - delimiter.len()], tail.as_bytes()].concat();
        assert_eq!(
            said(&form.send_body(&body).await),
            (400, code),
            "{tail:.40}"
        );
        assert!(world.engine.objects().is_empty(), "{tail:.40}");
    }
    assert_eq!(form.send().await.status, 204);
    assert_eq!(world.a.get("/abkt/k").await.body.len(), 3_000_000);
}

#[tokio::test]
async fn a_form_cut_anywhere_is_the_same_form() {
    let world = World::start().await;
    let content = b"\r\n--\r\n----\r\n------B\r\n------B8\r\n";
    let form = upload(&world.a, "k").file(content);
    let body = form.body();
    let start = form.preamble(&form.signed_fields()).len();
    for at in (0..start).step_by(97).chain(start..body.len()) {
        let mut stream = tokio::net::TcpStream::connect(world.a.address)
            .await
            .unwrap();
        stream.set_nodelay(true).unwrap();
        let head = form.head(body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body[..at]).await.unwrap();
        tokio::task::yield_now().await;
        stream.write_all(&body[at..]).await.unwrap();
        let mut out = Vec::new();
        stream.read_to_end(&mut out).await.unwrap();
        assert_eq!(parse(&out).status, 204, "{at}");
        let put = world.engine.take_seen().pop().unwrap();
        assert_eq!(put.body.as_deref(), Some(&content[..]), "{at}");
    }
}

#[tokio::test]
async fn a_form_that_drips_runs_out_of_time() {
    let world = World::start().await;
    let form = upload(&world.a, "k");
    let body = form.body();
    for (stop_at, expected) in [(100, (400, "RequestTimeout")), (body.len(), (204, ""))] {
        let mut stream = tokio::net::TcpStream::connect(world.a.address)
            .await
            .unwrap();
        let head = form.head(body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body[..stop_at]).await.unwrap();
        let mut out = Vec::new();
        stream.read_to_end(&mut out).await.unwrap();
        assert_eq!(said(&parse(&out)), expected);
    }
}

#[tokio::test]
async fn strangers_who_go_on_are_told_less() {
    let world = World::start().await;
    let forger = Client {
        secret: "guessed",
        ..world.a.clone()
    };
    let form = upload(&forger, "k");
    let mut codes = Vec::new();
    for _ in 0..605 {
        codes.push(form.send().await.code().to_owned());
    }
    assert_eq!(codes[599], "SignatureDoesNotMatch");
    assert_eq!(codes[600], "SlowDown");
    world.assert_engine_saw_nothing("strangers");
    assert_eq!(upload(&world.a, "k").send().await.status, 204);
}
