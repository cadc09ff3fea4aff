<?php
/**
 * As much of CS-Cart as the add-on sees, and in CS-Cart's order: which hook is called when and with what, what a guest's
 * cart is called, what the table of orders keeps. One run is one request:
 *
 * php shop.php ADD-ON-FOLDER STATE-FILE < {"area": "C", "cookies": {}, "config": {}, "calls": [["save_cart", …], …]}
 */

namespace Tygh {
    class Registry
    {
        public static array $values = [];

        public static function get(string $name): mixed
        {
            return self::$values[$name] ?? null;
        }
    }
}

namespace {
    [, $addon, $state_file] = $argv;
    $request = json_decode(stream_get_contents(STDIN), true, 512, JSON_THROW_ON_ERROR);
    $shop = json_decode(file_get_contents($state_file), true, 512, JSON_THROW_ON_ERROR);
    $_COOKIE = $request['cookies'];

    const BOOTSTRAP = true;
    const CART_PRIMARY_CURRENCY = 'EUR';
    define('AREA', $request['area']);
    Tygh\Registry::$values['config.optico_events'] = $request['config'];

    if (!extension_loaded('rdkafka')) {
        require __DIR__ . '/rdkafka.php';
    }
    $hooks = [];
    require "$addon/init.php";
    require "$addon/func.php";

    foreach ($request['calls'] as [$call, $arguments]) {
        $call(...$arguments);
    }
    echo 'the page';
    register_shutdown_function(function () use ($state_file): void {
        global $shop;
        file_put_contents($state_file, json_encode($shop, JSON_THROW_ON_ERROR));
    });

    // What the add-on calls.

    function fn_register_hooks(string ...$names): void
    {
        global $hooks;
        $hooks = array_merge($hooks, $names);
    }

    function fn_set_hook(string $name, &...$arguments): void
    {
        global $hooks;
        if (in_array($name, $hooks, true)) {
            call_user_func_array("fn_optico_events_$name", $arguments);
        }
    }

    function fn_get_session_data(string $name): mixed
    {
        global $shop;
        return $shop['session'][$name] ?? false;
    }

    function fn_set_session_data(string $name, mixed $value): void
    {
        global $shop;
        $shop['session'][$name] = $value;
    }

    function fn_delete_session_data(string $name): void
    {
        global $shop;
        unset($shop['session'][$name]);
    }

    function fn_get_product_name(string $id): string|false
    {
        return ['31' => 'Corduroy trousers', '32' => "L'été, 12 €"][$id] ?? false;
    }

    function fn_get_selected_product_options_info(mixed $chosen): array|false
    {
        if (empty($chosen) || !is_array($chosen)) {
            return false;
        }
        $known = ['3' => ['Size', ['12' => 'Large']], '4' => ['Engraving', []], '5' => ['Engraving', []]];
        $found = [];
        foreach ($chosen as $option => $value) {
            $found[] = ['option_id' => $option, 'option_name' => $known[$option][0], 'value' => $value]
                + (isset($known[$option][1][$value]) ? ['variant_name' => $known[$option][1][$value]] : []);
        }
        return $found;
    }

    function fn_get_order_info(string $id): array|false
    {
        global $shop;
        $order = $shop['orders'][$id] ?? false;
        if ($order === false) {
            return false;
        }
        foreach ($order['products'] as $hash => $product) {
            $options = fn_get_selected_product_options_info($product['product_options'] ?? []);
            unset($product['product_options']);
            $name = ['product' => fn_get_product_name($product['product_id'])];
            $order['products'][$hash] = $name + $product + ($options ? ['product_options' => $options] : []);
        }
        return $order + ['payment_info' => ['card_number' => '4111111111111111'], 'email' => 'anna@example.com'];
    }

    // What happens in the shop.

    /** fn_save_cart_content: a guest's cart gets a random number, which the session keeps. */
    function save_cart(mixed $cart, int $user_id, string $type = 'C'): void
    {
        $user_type = 'R';
        if (empty($user_id)) {
            $user_id = fn_get_session_data('cu_id') ?: 3810267128;
            fn_set_session_data('cu_id', $user_id);
            $user_type = 'U';
        }
        fn_set_hook('save_cart_content_pre', $cart, $user_id, $type, $user_type);
        fn_set_hook('save_cart_content_post', $cart, $user_id, $type, $user_type);
    }

    /** fn_place_order: incomplete at first, then open; afterwards the cart is saved without contents. */
    function place_order(array $products, int $user_id, string $status = 'O'): void
    {
        global $shop;
        $order = ['user_id' => $user_id, 'status' => 'N', 'is_parent_order' => 'N', 'products' => $products];
        fn_set_hook('create_order', $order);
        $id = (string) (1001 + count($shop['orders']));
        $shop['orders'][$id] = ['order_id' => $id] + array_intersect_key($order, array_flip(columns()));
        change_status($id, $status);
        if (AREA === 'C' && $user_id !== 0) {
            save_cart('', $user_id);
        }
    }

    /** fn_change_order_status: its hook comes first. */
    function change_status(string $id, string $to): void
    {
        global $shop;
        $from = $shop['orders'][$id]['status'];
        if ($from === $to) {
            return;
        }
        [$info, $notify, $statuses, $placing] = [fn_get_order_info($id), [], [], $from === 'N'];
        fn_set_hook('change_order_status', $to, $from, $info, $notify, $statuses, $placing);
        $shop['orders'][$id]['status'] = $to;
    }

    /** fn_delete_order: incomplete, then gone. */
    function delete_order(string $id): void
    {
        global $shop;
        change_status($id, 'N');
        unset($shop['orders'][$id]);
    }

    /** An edit in the back office: incomplete, then the new products, then the status that it had. */
    function edit_order(string $id, array $products): void
    {
        global $shop;
        $status = $shop['orders'][$id]['status'];
        change_status($id, 'N');
        $shop['orders'][$id]['products'] = $products;
        change_status($id, $status);
    }

    /** What the table of orders keeps: an order's other fields are left out when it is written. */
    function columns(): array
    {
        global $addon;
        preg_match_all('/ADD (\w+)/', file_get_contents("$addon/addon.xml"), $added);
        return array_merge(['user_id', 'status', 'is_parent_order', 'products'], $added[1]);
    }
}
