//! The cart: an object that calls others, and leaves them as they were when it cannot have all it wants.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use serde_json::{Value, json};

use super::world::{Server, dir};

fn uri(product: &str) -> String {
    format!("/objects/product/{product}")
}

fn stock_up(server: &Server, product: &str, price: i64, stock: u32) {
    let state = json!({"name": product, "price": price, "stock": stock});
    assert_eq!(server.with_json("PUT", &uri(product), &state).status, 201);
}

fn stock(server: &Server, product: &str) -> u64 {
    server.get(&uri(product)).json()["stock"].as_u64().unwrap()
}

fn put(server: &Server, cart: &str, product: &str, quantity: u32) {
    let args = json!({"product": uri(product), "quantity": quantity});
    server.post(&format!("/objects/cart/{cart}/put"), &args).is_empty(204);
}

fn items(server: &Server, cart: &str) -> Value {
    server.get(&format!("/objects/cart/{cart}")).json()["items"].clone()
}

#[test]
fn a_cart_holds_each_product_once() {
    let dir = dir();
    let server = Server::new(dir.path(), &[]);
    put(&server, "a", "tea", 2);
    put(&server, "a", "mug", 1);
    put(&server, "a", "tea", 5);
    let both = json!([{"product": uri("tea"), "quantity": 5}, {"product": uri("mug"), "quantity": 1}]);
    assert_eq!(items(&server, "a"), both);
    put(&server, "a", "tea", 0);
    put(&server, "a", "never-there", 0);
    server.get("/objects/cart/a").is(200, json!({"items": [{"product": uri("mug"), "quantity": 1}]}));
    // However its URI is spelt.
    server.post("/objects/cart/a/put", &json!({"product": "/objects/product/m%75g", "quantity": 3})).is_empty(204);
    assert_eq!(items(&server, "a"), json!([{"product": uri("mug"), "quantity": 3}]));
    server.with_json("PUT", "/objects/cart/a", &json!({"items": []})).problem(405, "method-not-allowed");
    server.ask("DELETE", "/objects/cart/a", &[], "").problem(405, "method-not-allowed");
}

#[test]
fn a_cart_takes_products_of_this_cluster_alone() {
    let dir = dir();
    let server = Server::new(dir.path(), &["--public-url", "https://shop.example"]);
    let refused = |product: &str, code: &str| {
        let args = json!({"product": product, "quantity": 1});
        let problem = server.post("/objects/cart/a/put", &args).problem(422, code);
        assert!(problem["detail"].as_str().unwrap().contains("product"), "{problem}");
    };
    refused("/objects/counter/tea", "invalid-arguments");
    refused("tea", "invalid-arguments");
    refused("/objects/product/", "invalid-arguments");
    refused("/objects/product/tea/price", "invalid-arguments");
    refused("http://elsewhere.example/objects/product/tea", "authority-not-allowed");
    server.get("/objects/cart/a").problem(404, "object-not-found");
    // Under its own public URL a product is the one it has.
    let own = json!({"product": "https://shop.example/objects/product/tea", "quantity": 1});
    server.post("/objects/cart/a/put", &own).is_empty(204);
    assert_eq!(items(&server, "a"), json!([{"product": uri("tea"), "quantity": 1}]));
    // It is also how clients come, so what they are told to look for begins with it.
    let created = server.ask("POST", "/objects/counter", &[], "");
    let location = created.header("location").unwrap();
    let path = location.strip_prefix("https://shop.example").unwrap_or_else(|| panic!("{location}"));
    server.get(path).is(200, json!({"value": 0}));
}

#[test]
fn the_total_is_what_all_products_cost_now() {
    let dir = dir();
    let server = Server::new(dir.path(), &[]);
    stock_up(&server, "tea", 450, 10);
    stock_up(&server, "mug", 1_200, 10);
    stock_up(&server, "gold", i64::MAX, 10);
    server.get("/objects/cart/a/total").is(200, json!(0));
    put(&server, "a", "tea", 3);
    put(&server, "a", "mug", 1);
    put(&server, "a", "not-yet-made", 7);
    server.get("/objects/cart/a/total").is(200, json!(2_550));
    server
        .with_json("PATCH", &uri("tea"), &json!({"price": 500}))
        .is(200, json!({"name": "tea", "price": 500, "stock": 10}));
    let total = server.get("/objects/cart/a/total");
    total.is(200, json!(2_700));
    assert_eq!(total.header("etag"), None, "it is of no one version");
    put(&server, "a", "gold", 2);
    server.get("/objects/cart/a/total").problem(422, "overflow");
}

#[test]
fn checking_out_takes_everything_and_empties_the_cart() {
    let dir = dir();
    let server = Server::new(dir.path(), &[]);
    stock_up(&server, "tea", 450, 10);
    stock_up(&server, "mug", 1_200, 1);
    put(&server, "a", "tea", 3);
    put(&server, "a", "mug", 1);
    server.ask("POST", "/objects/cart/a/check-out", &[], "").is(200, json!(2_550));
    assert_eq!(items(&server, "a"), json!([]));
    assert_eq!((stock(&server, "tea"), stock(&server, "mug")), (7, 0));
    server.ask("POST", "/objects/cart/a/check-out", &[], "").is(200, json!(0));
}

#[test]
fn what_cannot_be_had_leaves_the_cart_as_it_was_and_gives_back_what_was_taken() {
    let dir = dir();
    let server = Server::new(dir.path(), &[]);
    stock_up(&server, "tea", 450, 10);
    stock_up(&server, "mug", 1_200, 1);
    stock_up(&server, "jam", 300, 5);
    put(&server, "a", "tea", 3);
    put(&server, "a", "mug", 2);
    put(&server, "a", "jam", 1);
    let before = server.get("/objects/cart/a");
    let problem = server.ask("POST", "/objects/cart/a/check-out", &[], "").problem(409, "out-of-stock");
    assert_eq!(problem["product"], json!(uri("mug")));
    assert_eq!(problem["outcome"], "not-executed");
    let after = server.get("/objects/cart/a");
    assert_eq!((&after.body, after.etag()), (&before.body, before.etag()));
    assert_eq!([stock(&server, "tea"), stock(&server, "mug"), stock(&server, "jam")], [10, 1, 5]);
    put(&server, "a", "mug", 1);
    server.ask("POST", "/objects/cart/a/check-out", &[], "").is(200, json!(3 * 450 + 1_200 + 300));
}

#[test]
fn many_carts_over_few_products_never_sell_what_is_not_there_and_lose_nothing() {
    const CARTS: u32 = 24;
    const PRODUCTS: [&str; 3] = ["tea", "mug", "jam"];
    let dir = dir();
    let server = Server::new(dir.path(), &[]);
    // Not enough of the first two, so that many carts have to give back what they took before.
    for (product, stock) in PRODUCTS.iter().zip([45, 40, 50]) {
        stock_up(&server, product, 1, stock);
    }
    let sold: [AtomicU64; 3] = Default::default();
    let paid = AtomicU64::new(0);
    thread::scope(|scope| {
        for cart in 0..CARTS {
            let (server, sold, paid) = (&server, &sold, &paid);
            scope.spawn(move || {
                let name = format!("cart-{cart}");
                let quantities = [1 + cart % 4, 1 + cart % 5, 1 + cart % 3];
                // Each in another order, so that they meet crosswise.
                for at in (0..3).map(|at| (at + cart as usize) % 3) {
                    put(server, &name, PRODUCTS[at], quantities[at]);
                }
                let before = items(server, &name);
                for _ in 0..2 {
                    let answer = server.ask("POST", &format!("/objects/cart/{name}/check-out"), &[], "");
                    if answer.status == 200 {
                        for (sold, quantity) in sold.iter().zip(quantities) {
                            sold.fetch_add(quantity.into(), Ordering::Relaxed);
                        }
                        paid.fetch_add(answer.json().as_u64().unwrap(), Ordering::Relaxed);
                        assert_eq!(items(server, &name), json!([]));
                        return;
                    }
                    answer.problem(409, "out-of-stock");
                    assert_eq!(items(server, &name), before);
                }
            });
        }
    });
    let sold = sold.map(AtomicU64::into_inner);
    let left = PRODUCTS.map(|product| stock(&server, product));
    assert_eq!([sold[0] + left[0], sold[1] + left[1], sold[2] + left[2]], [45, 40, 50], "sold {sold:?}");
    assert_eq!(paid.into_inner(), sold.iter().sum::<u64>());
    assert!(sold.iter().all(|sold| *sold > 10), "some carts are to be paid: {sold:?}");
}
