//! The console in a real browser: Chromium opens the built pages, served by the real gateway among
//! simulated cameras and doors.
//!
//! What the browser does is a scenario, `src/web/console/e2e/<name>.mjs`; it gets a whole compound and an
//! address at which it can make things happen there (`control`). Screenshots of each page are left in
//! `target/console-screens`.

mod control;
mod estate;

use estate::{Estate, EstateOptions};

#[tokio::test(flavor = "multi_thread")]
async fn someone_sets_an_account_up_and_logs_in() {
    let mut estate = Estate::start(EstateOptions::new(1)).await;
    // With a wrong password, once.
    estate.gateway.expect("log-in refused");
    estate.play("login").await;
    estate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wall_plays_and_stale_video_never_looks_live() {
    let mut estate = Estate::start(EstateOptions::new(9)).await;
    // The scenario pulls one.
    estate.gateway.expect("camera");
    estate.play("wall").await;
    estate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_becomes_a_closed_case_with_its_clip() {
    let estate = Estate::start(EstateOptions::new(4)).await;
    estate.play("case").await;
    estate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_plays_clips_and_finds_persons_with_a_reason_only() {
    let estate = Estate::start(EstateOptions::new(4)).await;
    estate.play("search").await;
    estate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_the_duty_room_fits_and_can_be_used_by_all() {
    let estate = Estate::start(EstateOptions::new(9)).await;
    estate.play("pages").await;
    estate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_are_issued_up_to_the_limit_and_the_refusal_is_said_in_words() {
    let estate = Estate::start(EstateOptions::new(4)).await;
    estate.play("office").await;
    estate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spreadsheet_is_tried_before_it_is_taken() {
    let estate = Estate::start(EstateOptions::new(4)).await;
    estate.play("import").await;
    estate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_look_leaves_a_line_and_an_account_can_be_ended() {
    let estate = Estate::start(EstateOptions::new(4)).await;
    estate.play("audit").await;
    estate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_site_is_set_up_in_the_browser() {
    let mut estate = Estate::start(EstateOptions::untold(2)).await;
    // Its doors knock before they are known.
    estate.gateway.expect("door");
    estate.play("install").await;
    estate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_the_office_fits_and_can_be_used_by_all() {
    let estate = Estate::start(EstateOptions::new(4)).await;
    estate.play("office-pages").await;
    estate.stop().await;
}
