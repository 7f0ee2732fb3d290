use super::*;

fn labels(count: usize) -> Vec<String> {
    (0..count).map(|hour| format!("{hour:02}:00")).collect()
}

fn plot(labels: &[String], shape: Shape, series: Vec<Series>) -> Plot<'_> {
    Plot {
        id: "requests".to_owned(),
        title: "Requests",
        unit: Unit::Count,
        shape,
        labels,
        series,
        limit: None,
        running: true,
    }
}

fn series(name: &'static str, values: &[u64]) -> Series {
    Series {
        name,
        class: "a",
        values: values.to_vec(),
    }
}

#[test]
fn bars_stand_on_each_other_and_on_the_ground() {
    let labels = labels(3);
    let both = vec![series("class A", &[4, 0, 1]), series("class B", &[4, 2, 0])];
    let chart = plot(&labels, Shape::Bars, both).draw();
    assert_eq!(chart.width, 30);
    assert_eq!(chart.scale, ["8", "4", "0"]);
    assert_eq!(chart.layers[0].path, "M1 100V50h8V100zM21 100V87.5h8V100z");
    assert_eq!(chart.layers[1].path, "M1 50V0h8V50zM11 100V75h8V100z");
    assert_eq!(chart.headline, "11");
    assert_eq!(chart.columns[0].words, "00:00: 4 class A, 4 class B");
    assert_eq!(
        chart.columns[2].words,
        "02:00, so far: 1 class A, 0 class B"
    );
    assert_eq!(chart.ends, ["00:00", "01:00", "02:00"]);
    assert_eq!(
        chart.summary,
        "Requests, 00:00 to 02:00: 11 in all, the most 00:00 with 8."
    );
    assert!(!chart.is_empty);
}

#[test]
fn an_area_reaches_from_edge_to_edge() {
    let labels = labels(2);
    let chart = plot(&labels, Shape::Area, vec![series("stored", &[0, 10])]).draw();
    let layer = &chart.layers[0];
    assert_eq!(layer.edge.as_deref(), Some("M0 100L5 100L15 0L20 0"));
    assert_eq!(layer.path, "M0 100L5 100L15 0L20 0V100H0z");
    assert_eq!(chart.headline, "10");
    assert_eq!(chart.columns[0].words, "00:00: 0");
    assert!(chart.summary.contains("between 0 and 10, at the end 10."));
}

#[test]
fn a_little_can_be_seen_and_nothing_cannot() {
    let labels = labels(3);
    let chart = plot(
        &labels,
        Shape::Bars,
        vec![series("all", &[1_000_000, 1, 0])],
    )
    .draw();
    assert_eq!(chart.layers[0].path, "M1 100V0h8V100zM11 100V99.2h8V100z");
    let nothing = plot(&labels, Shape::Bars, vec![series("all", &[0, 0, 0])]).draw();
    assert!(nothing.is_empty && nothing.layers[0].path.is_empty());
    assert_eq!(nothing.scale, ["2", "1", "0"]);
    assert!(nothing.summary.ends_with(": nothing."));
    let none = plot(&[], Shape::Area, vec![series("all", &[])]).draw();
    assert!(none.is_empty && none.columns.is_empty());
}

#[test]
fn the_scale_is_even_and_no_less_than_the_figures() {
    for (figure, top) in [
        (0, 2),
        (1, 2),
        (3, 4),
        (9, 10),
        (11, 20),
        (79, 80),
        (81, 100),
    ] {
        assert_eq!(nice(figure, Unit::Count), top, "{figure}");
    }
    assert_eq!(nice(17_800_000, Unit::Bytes), 20_000_000);
    assert_eq!(nice(3, Unit::Bytes), 1000);
    assert_eq!(nice(0, Unit::Money("usd")), 200);
    assert_eq!(nice(449_700, Unit::Money("usd")), 600_000);
    assert_eq!(Unit::Money("usd").words(449_700), "$4,497");
    assert!(nice(u64::MAX, Unit::Bytes) >= u64::MAX / 2);
}

#[test]
fn a_limit_is_drawn_when_it_is_near() {
    let labels = labels(1);
    let with = |value: u64| Plot {
        limit: Some(10),
        ..plot(&labels, Shape::Area, vec![series("all", &[value])])
    };
    assert_eq!(with(4).draw().limit, None);
    assert_eq!(with(5).draw().limit.as_deref(), Some("0"));
    assert_eq!(with(20).draw().limit.as_deref(), Some("50"));
}

#[test]
fn what_is_full_is_said_to_be() {
    assert_eq!((part(0, 10).as_str(), tone(0, 10)), ("0", "good"));
    assert_eq!((part(1, 1_000_000).as_str(), tone(1, 10)), ("0.8", "good"));
    assert_eq!((part(8, 10).as_str(), tone(8, 10)), ("80", "warn"));
    assert_eq!((part(12, 10).as_str(), tone(12, 10)), ("100", "bad"));
    assert_eq!((part(0, 0).as_str(), tone(0, 0)), ("100", "bad"));
}

#[test]
fn from_what_is_held_now_follows_what_was_held_before() {
    assert_eq!(walk_back(70, &[100, 0, -30]), [100, 100, 70]);
    assert_eq!(walk_back(0, &[]), [] as [u64; 0]);
    // What was deleted may be booked before what was stored.
    assert_eq!(walk_back(0, &[-5, 5]), [0, 0]);
}
