"""Tests of the district's services. They need a lab that has them: inventories/lab-services or a scenario's own."""
