//! The window's rules, event by event.

use super::*;

fn model() -> Model {
    Model::new(Language::English, "camera:0".to_owned())
}

fn id(name: &str) -> SeatId {
    name.into()
}

fn connected() -> SeatState {
    SeatState { host: Some("vdi-1".to_owned()), ..SeatState::new("camera:0") }
}

fn shown() -> Arc<Shown> {
    Arc::new(Shown { size: [1, 1], rgb: vec![0; 3], faces: Vec::new(), phones: Vec::new() })
}

fn taken() -> Taken {
    let (path, margin) = (String::new(), 0.2);
    Taken { looks: 6, pictures: 90, is_few: false, is_poor: false, margin, path }
}

#[test]
fn the_camera_is_opened_by_a_button_alone_and_closed_with_the_page() {
    let mut model = model();
    for page in Page::ALL {
        let actions = model.take(Event::Open(page));
        assert!(!actions.iter().any(|a| matches!(a, Action::OpenCamera(_))), "{page:?}");
    }
    model.take(Event::Open(Page::Seat));
    assert_eq!(model.take(Event::Preview(true)), [Action::OpenCamera(Use::Own)]);
    assert_eq!(model.take(Event::Preview(true)), []);
    model.take(Event::Picture(Use::Own, shown()));
    assert!(model.picture.is_some());
    assert_eq!(model.take(Event::Open(Page::Check)), [Action::CloseCamera]);
    model.take(Event::Picture(Use::Own, shown()));
    assert!(model.picture.is_none(), "it came late");
}

#[test]
fn a_connection_s_pictures_come_over_its_socket() {
    let mut model = model();
    model.take(Event::Seat(id("a"), SeatState::new("camera:0")));
    model.take(Event::Seat(id("b"), connected()));
    let ask = |on| Action::Ask(id("b"), Asked::Preview { on });
    assert_eq!(model.take(Event::Preview(true)), [ask(true)]);
    model.take(Event::Picture(Use::Seat(id("a")), shown()));
    assert!(model.picture.is_none(), "of another connection");
    model.take(Event::Picture(Use::Seat(id("b")), shown()));
    assert!(model.picture.is_some());
    assert_eq!(model.take(Event::Preview(false)), [ask(false)]);
    model.take(Event::Preview(true));
    model.take(Event::SeatGone(id("b")));
    assert!(matches!(model.preview, Preview::Ended(_)) && model.picture.is_none());
}

#[test]
fn a_connection_that_begins_takes_the_camera() {
    let mut previewing = model();
    previewing.take(Event::Preview(true));
    assert_eq!(previewing.take(Event::Seat(id("a"), SeatState::new("camera:0"))), [Action::CloseCamera]);
    assert!(matches!(previewing.preview, Preview::Ended(_)));
    assert_eq!(previewing.take(Event::Seat(id("a"), connected())), [], "once is enough");

    let mut enrolling = model();
    enrolling.take(Event::Open(Page::Enrol));
    assert_eq!(enrolling.take(Event::Enrol(true)), [Action::OpenCamera(Use::Enrol)]);
    assert_eq!(enrolling.take(Event::Seat(id("a"), connected())), [Action::CloseCamera]);
    // What the interrupted enrolment says afterwards is not what happened.
    enrolling.take(Event::Enrolled(Ok(taken())));
    assert!(matches!(enrolling.enrolment, Enrolment::Failed(_)));
    assert_eq!(enrolling.take(Event::Enrol(true)), [], "the connection has the camera");
}

#[test]
fn an_enrolment_can_be_given_up_and_taken_again() {
    let mut model = model();
    model.take(Event::Open(Page::Enrol));
    model.take(Event::Enrol(true));
    assert_eq!(model.take(Event::Enrol(false)), [Action::CloseCamera]);
    assert_eq!(model.take(Event::Enrol(true)), [], "it is still closing");
    model.take(Event::Enrolled(Err(Said::english("too few looks"))));
    assert_eq!(model.enrolment, Enrolment::Stopping);
    model.take(Event::CameraOver(Use::Enrol, None));
    assert_eq!(model.enrolment, Enrolment::Idle);
    assert_eq!(model.take(Event::Enrol(true)), [Action::OpenCamera(Use::Enrol)]);
    model.take(Event::Enrolled(Ok(taken())));
    assert_eq!(model.enrolment, Enrolment::Done(taken()));
    assert_eq!(model.take(Event::Enrol(true)), [Action::OpenCamera(Use::Enrol)], "once more");
}

#[test]
fn a_cover_is_asked_of_every_connection_and_its_end_is_offered_while_it_holds() {
    let mut model = model();
    model.take(Event::Seat(id("a"), SeatState { covered: false, reason: "none".into(), ..connected() }));
    assert!(!model.has_asked());
    assert_eq!(model.take(Event::CoverNow), [Action::AskAll(Asked::CoverNow)]);
    model.take(Event::Seat(id("a"), SeatState { reason: "operator-asked".into(), ..connected() }));
    assert!(model.has_asked());
    assert_eq!(model.take(Event::EndCover), [Action::AskAll(Asked::EndCover)]);
    model.take(Event::Seat(id("a"), SeatState { reason: "stranger".into(), ..connected() }));
    assert!(!model.has_asked(), "nothing of that kind can be ended");
}

#[test]
fn a_diagnosis_runs_once_at_a_time_and_needs_the_camera() {
    let mut model = model();
    model.take(Event::Preview(true));
    assert_eq!(model.take(Event::Check), [Action::CloseCamera, Action::RunCheck]);
    assert_eq!(model.take(Event::Check), []);
    (0..2 * LINES_MAX).for_each(|n| drop(model.take(Event::CheckLine(n.to_string()))));
    assert_eq!(model.check.lines.len(), LINES_MAX);
    model.take(Event::CheckOver(Err("2 problems".into())));
    assert_eq!(model.take(Event::Check), [Action::RunCheck]);
    assert!(model.check.lines.is_empty());
}

#[test]
fn a_receipt_that_comes_is_read_and_another_camera_is_saved_once() {
    let mut model = model();
    assert_eq!(model.take(Event::Receipt), [Action::ReadReceipts]);
    assert_eq!(model.take(Event::Choose("camera:1".into())), [Action::SaveCamera("camera:1".into())]);
    assert_eq!(model.take(Event::Choose("camera:1".into())), []);
}
